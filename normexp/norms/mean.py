"""The mean of batch norm and instance norm: the gated mix with its gate fixed at one half.

A control for `gated.py`: what it gains over this, the learning of the gate gains.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

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
        wide = widened(x)
        mean = 0.5 * self.batch(wide) + 0.5 * F.instance_norm(wide, eps=self.batch.eps)
        return super().forward(mean).to(x.dtype)
