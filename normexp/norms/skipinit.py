"""SkipInit: no norm; each residual branch has a learned factor that starts at 0.

De and Smith, "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep
Networks", NeurIPS 2020.
"""

import torch
from torch import Tensor, nn

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class SkipInit(ScaleShift):
    """y = alpha·(weight·x + bias), `alpha` a scalar from 0 on: the end of a residual branch.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return (self.alpha * super().forward(widened(x))).to(x.dtype)
