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

    def __init__(self, params: Any, lr: float, *, momentum: float, nesterov: bool) -> None:
        super().__init__(params, lr, momentum=momentum, nesterov=nesterov, fused=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all parameters."""
        groups = [self._tensors(group) for group in self.param_groups]
        if closure is not None or not all(groups):
            return super().step(closure)
        for group, tensors in zip(self.param_groups, groups, strict=True):
            torch._fused_sgd_(
                *tensors,
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

    def _tensors(self, group: dict[str, Any]) -> tuple[list[Tensor], ...]:
        """Return parameters, gradients and momenta; nothing where some are still to be made."""
        lists: tuple[list[Tensor], ...] = ([], [], [])
        for parameter in group["params"]:
            gradient, momentum = parameter.grad, self.state[parameter].get("momentum_buffer")
            if gradient is None or momentum is None or momentum.stride() != parameter.stride():
                return ()
            three = (parameter, gradient, momentum)
            if not parameter.is_contiguous():
                if not parameter.is_contiguous(memory_format=torch.channels_last):
                    return ()
                # The fused function would copy what is not contiguous as it stands.
                three = tuple(tensor.permute(0, 2, 3, 1) for tensor in three)
            for tensors, tensor in zip(lists, three, strict=True):
                tensors.append(tensor.contiguous())  # a gradient may be laid out otherwise
        return lists
