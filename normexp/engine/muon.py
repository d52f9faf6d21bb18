"""The Muon optimizer: momentum, orthogonalised, for the weights of convolutions.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
kellerjordan.github.io/posts/muon.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from normexp.engine.schedule import is_vector

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of x ↦ ax + bx³ + cx⁵, which takes numbers of (0, 1] near 1 in few steps (Jordan)."""


class Muon(torch.optim.Optimizer):
    """Muon for the weights of convolutions, SGD with Nesterov momentum for all other parameters.

    Differs from `torch.optim.Muon` in that it takes convolutions, as matrices with a row for each
    output channel, and not linear layers; in that it scales such a matrix to the Frobenius norm
    √rows before each step, as a norm layer makes its size void, so that `lr` is the relative size
    of a step (in a network without one it fixes a size that would else be learned or, as in
    `norm=fixup`, chosen); and in that weight decay acts on the parameters of SGD only.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        *,
        momentum: float,
        ns_steps: int,
        sgd_factor: float,
        sgd_momentum: float,
    ) -> None:
        """`ns_steps`: of the Newton-Schulz iteration; SGD's learning rate is `sgd_factor · lr`.

        Raises ValueError.
        """
        for name, value in (("momentum", momentum), ("sgd_momentum", sgd_momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}={value}: at least 0 and less than 1 is needed")
        if not sgd_factor >= 0:
            raise ValueError(f"sgd_factor={sgd_factor}: at least 0 is needed")
        if not isinstance(ns_steps, int) or ns_steps < 1:
            raise ValueError(f"ns_steps={ns_steps}: a whole number of 1 or more is needed")
        of_sgd = {"weight_decay": 0.0, "sgd_factor": sgd_factor, "sgd_momentum": sgd_momentum}
        super().__init__(params, {"lr": lr, "momentum": momentum, "ns_steps": ns_steps, **of_sgd})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if closure is not None:
            raise ValueError("this optimizer takes no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight.ndim == 4 and not is_vector(weight):
                    update = self._nesterov(weight, weight.grad, group["momentum"])
                    weight.mul_(len(weight) ** 0.5 / weight.norm().clamp_min(1e-7))
                    step = newton_schulz(update.flatten(1), group["ns_steps"])
                    move(weight, step.view(update.shape), group["lr"])
                else:
                    gradient = weight.grad.add(weight, alpha=group["weight_decay"])
                    update = self._nesterov(weight, gradient, group["sgd_momentum"])
                    move(weight, update, group["lr"] * group["sgd_factor"])
        return None

    def _nesterov(self, weight: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        """Add `gradient` to the momentum buffer, and return the direction of Nesterov momentum."""
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(gradient)
        return gradient.add(buffer, alpha=momentum)


def move(weight: Tensor, update: Tensor, lr: float | Tensor) -> None:
    """Take lr · `update` from `weight`, in place; a GPU need not wait for an `lr` that it has."""
    if isinstance(lr, Tensor):
        weight.addcmul_(update, lr, value=-1)
    else:
        weight.sub_(update, alpha=lr)


def newton_schulz(matrix: Tensor, steps: int) -> Tensor:
    """Return about U·Vᵀ where `matrix` (M, N) has the singular value decomposition U·S·Vᵀ.

    In bfloat16, as its authors do it: with 3 steps, singular values of more than a 50th of the
    matrix's norm become 0.65 to 1.25.
    """
    x: Tensor = matrix.bfloat16()
    x = x / x.norm().clamp_min(1e-7)
    is_tall = len(x) > x.shape[1]
    x = x.T if is_tall else x
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    x = x.T if is_tall else x
    return x.to(matrix.dtype)
