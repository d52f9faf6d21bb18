"""Batch norm and instance norm of the same channels, mixed by a gate for each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normexp.contracts import JoinsReLU, ThenReLU
from normexp.norms.instance import instance_norm
from normexp.norms.mixed import batch_instance_norm, has_kernel, rectified
from normexp.norms.running import update_running
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class BatchInstanceNorm(ScaleShift, JoinsReLU):
    """Batch norm, instance norm, and one scale and shift; a subclass says how they are mixed."""

    def __init__(self, num_features: int, *, eps: float, momentum: float) -> None:
        super().__init__(num_features)
        self.batch = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum, affine=False)

    def mixed(self, x: Tensor, gate: Tensor, then: ThenReLU | None) -> Tensor:
        """Return weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias, or what comes of it by `then`.

        The gate is (C,) in [0, 1]. `x` (N, C, H, W) comes back in the same shape and type. Raises
        ValueError at 1×1 maps, where instance norm is not defined.
        """
        if torch.is_grad_enabled() and self.batch.training and has_kernel(x):
            y, moments = batch_instance_norm(x, self.weight, self.bias, gate, self.batch.eps, then)
            update_running(self.batch, *moments)
            return y
        wide = widened(x)  # the two differ by little, and a gate learns from the difference
        gate = gate[:, None, None]
        mixed = gate * self.batch(wide) + (1 - gate) * instance_norm(wide, self.batch.eps)
        return rectified(super().forward(mixed).to(x.dtype), then)
