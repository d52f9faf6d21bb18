"""Muon: momentum whose steps on the weights of convolutions are orthogonal matrices.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
kellerjordan.github.io/posts/muon.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of x ↦ ax + bx³ + cx⁵, which takes numbers of (0, 1] near 1 in few turns (Jordan)."""
TURNS = 3


class Muon(torch.optim.Optimizer):
    """Muon for the weights of convolutions, SGD with Nesterov momentum for everything else.

    A convolution's weights, as a matrix with a row for each output channel, are brought to the
    norm √rows before a step: a norm layer after it undoes their size anyway, and so `lr` says by
    what share of themselves they change. Weight decay is for what SGD moves. torch's own Muon
    takes no convolutions.
    """

    def __init__(
        self, params: Any, lr: float, *, momentum: float, sgd_factor: float, sgd_momentum: float
    ) -> None:
        """`sgd_factor` times `lr` is the learning rate of SGD. Raises ValueError."""
        for name, value in (("momentum", momentum), ("sgd_momentum", sgd_momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}={value}: at least 0 and less than 1 is needed")
        if not sgd_factor >= 0:
            raise ValueError(f"sgd_factor={sgd_factor}: at least 0 is needed")
        of_sgd = {"weight_decay": 0.0, "sgd_factor": sgd_factor, "sgd_momentum": sgd_momentum}
        super().__init__(params, {"lr": lr, "momentum": momentum, **of_sgd})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all parameters that have a gradient."""
        if closure is not None:
            raise ValueError("this optimizer takes no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight.ndim == 4:
                    along = self._along(weight, weight.grad, group["momentum"])
                    weight.mul_(len(weight) ** 0.5 / weight.norm().clamp_min(1e-7))
                    step = orthogonal(along.flatten(1)).view(along.shape)
                    weight.sub_(step, alpha=group["lr"])
                else:
                    gradient = weight.grad.add(weight, alpha=group["weight_decay"])
                    along = self._along(weight, gradient, group["sgd_momentum"])
                    weight.sub_(along, alpha=group["lr"] * group["sgd_factor"])
        return None

    def _along(self, weight: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        """Return the direction of Nesterov's momentum, and remember it."""
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(gradient)
        return gradient.add(buffer, alpha=momentum)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about U·Vᵀ where `matrix` (M, N) is U·S·Vᵀ.

    By a Newton-Schulz iteration in bfloat16, as its authors have it: singular values of more than
    a 50th of the matrix's norm become 0.65 to 1.25.
    """
    x: Tensor = matrix.bfloat16()
    x = x / x.norm().clamp_min(1e-7)
    is_tall = len(x) > x.shape[1]
    x = x.T if is_tall else x
    a, b, c = COEFFICIENTS
    for _ in range(TURNS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    x = x.T if is_tall else x
    return x.to(matrix.dtype)
