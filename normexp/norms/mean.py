"""The mean of batch norm and instance norm: the gated mix with its gate fixed at one half.

A control for `gated.py`: what it gains over this, the learning of the gate gains.
"""

import torch
from torch import Tensor

from normexp.norms.batch_instance import BatchInstanceNorm


class MeanNorm(BatchInstanceNorm):
    """y = weight·(BN(x) + IN(x))/2 + bias, for each channel.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError at 1×1 maps, where
    instance norm is not defined.
    """

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(x, torch.full_like(self.weight, 0.5))
