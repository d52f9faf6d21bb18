"""Dynamic tanh (DyT): a squashing function of each value in the place of a norm, no statistics.

Zhu et al., "Transformers without Normalization", CVPR 2025.
"""

import torch
from torch import Tensor, nn

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class DynamicTanh(ScaleShift):
    """y = weight·tanh(alpha·x) + bias, `alpha` a learned scalar.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int, *, alpha: float = 0.5) -> None:
        super().__init__(num_features)
        self.alpha = nn.Parameter(torch.tensor(alpha))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.tanh(self.alpha * widened(x))).to(x.dtype)
