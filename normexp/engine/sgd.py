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
                if not _as_it_lies(parameter, parameter).is_contiguous():
                    return None
            pairs = zip(group["params"], momenta, strict=True)
            laid = [(_as_it_lies(p, p), _as_it_lies(m, p)) for p, m in pairs]
            lists.append(([p for p, _ in laid], [m for _, m in laid]))
        return lists


def _as_it_lies(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return `tensor` with its numbers in the order in which those of `parameter` lie in memory."""
    # The fused function would copy what is not contiguous, as nothing in channels last is.
    is_laid = parameter.is_contiguous() or parameter.dim() != 4
    return tensor if is_laid else tensor.permute(0, 2, 3, 1)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    """Return what the fused function takes for the `parameters`; nothing where one has none."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            return []
        # It may be laid out otherwise.
        gradients.append(_as_it_lies(parameter.grad, parameter).contiguous())
    return gradients
