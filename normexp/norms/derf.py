"""Dynamic erf (Derf): dynamic tanh's successor, with the error function and a learned offset.

Chen et al., "Stronger Normalization-Free Transformers", 2025 (arXiv 2512.10938).
"""

import torch
from torch import Tensor, nn

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class DynamicErf(ScaleShift):
    """y = weight·erf(alpha·x + shift) + bias, `alpha` and `shift` learned scalars.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int, *, alpha: float = 0.5, shift: float = 0.0) -> None:
        super().__init__(num_features)
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.erf(self.alpha * widened(x) + self.shift)).to(x.dtype)
