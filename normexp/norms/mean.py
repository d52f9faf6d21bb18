"""The mean of batch norm and instance norm: the gated mix with its gate fixed at one half.

A control for `gated.py`: what it gains over this, the learning of the gate gains.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normexp.norms.instance import instance_norm
from normexp.norms.mixed import batch_instance_norm, has_kernel
from normexp.norms.running import update_running
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class MeanNorm(ScaleShift):
    """y = weight·(BN(x) + IN(x))/2 + bias, for each channel.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError at 1×1 maps, where
    instance norm is not defined.
    """

    def __init__(self, num_features: int, *, eps: float, momentum: float) -> None:
        super().__init__(num_features)
        self.batch = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self.batch.training and has_kernel(x):
            half = torch.full_like(self.weight, 0.5)
            y, moments = batch_instance_norm(x, self.weight, self.bias, half, self.batch.eps)
            update_running(self.batch, *moments)
            return y
        wide = widened(x)
        mean = 0.5 * self.batch(wide) + 0.5 * instance_norm(wide, self.batch.eps)
        return super().forward(mean).to(x.dtype)
