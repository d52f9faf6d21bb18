"""SGD with momentum, at its price and not at that of calling it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SGD(torch.optim.SGD):
    """torch's fused SGD, bit for bit.

    Of torch's own step 0.2 ms is Python, on the CPU of a laptop as much as the arithmetic of a
    small network takes. Here the lists of tensors go to the fused function as they are.
    """

    _kept: list[tuple[list[Tensor], list[Tensor]]] | None = None

    def __init__(self, params: Any, lr: float, *, momentum: float, nesterov: bool) -> None:
        super().__init__(params, lr, momentum=momentum, nesterov=nesterov, fused=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all parameters."""
        if self._kept is None:
            self._kept = self._lists()
        gradients = [_gradients(group["params"]) for group in self.param_groups]
        if closure is not None or self._kept is None or not all(gradients):
            self._kept = None
            return super().step(closure)
        for group, (parameters, momenta), grads in zip(
            self.param_groups, self._kept, gradients, strict=True
        ):
            torch._fused_sgd_(
                parameters,
                grads,
                momenta,
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=group["lr"],
                dampening=0.0,
                nesterov=group["nesterov"],
                maximize=False,
                is_first_step=False,
            )
        return None

    # torch would wrap `step` for its profiler.
    step.hooked = True  # type: ignore[attr-defined]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
        else:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._kept = None

    def _lists(self) -> list[tuple[list[Tensor], list[Tensor]]] | None:
        """Return each group's parameters and momenta as they lie in memory, once all are there."""
        lists = []
        for group in self.param_groups:
            momenta = [self.state[p].get("momentum_buffer") for p in group["params"]]
            for parameter, momentum in zip(group["params"], momenta, strict=True):
                if momentum is None or momentum.stride() != parameter.stride():
                    return None
                if not _as_it_lies(parameter).is_contiguous():
                    return None
            lists.append(([*map(_as_it_lies, group["params"])], [*map(_as_it_lies, momenta)]))
        return lists


def _as_it_lies(tensor: Tensor) -> Tensor:
    # The fused function would copy what is not contiguous, as nothing in channels last is.
    return tensor if tensor.is_contiguous() or tensor.dim() != 4 else tensor.permute(0, 2, 3, 1)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    """Return what the fused function takes for the `parameters`; nothing where one has none."""
    gradients = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            return []
        if not parameter.is_contiguous() and parameter.dim() == 4:
            gradient = gradient.permute(0, 2, 3, 1)
        gradients.append(gradient.contiguous())  # it may be laid out otherwise
    return gradients
