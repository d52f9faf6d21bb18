"""Filter response norm: each channel of each image over its root mean square, and a threshold.

Singh and Krishnan, "Filter Response Normalization Layer: Eliminating Batch Dependence in the
Training of Deep Neural Networks", CVPR 2020 (arXiv 2019).
"""

import torch
from torch import Tensor, nn

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class FilterResponseNorm(ScaleShift):
    """y = weight·x/√(ν² + |eps|) + bias, ν² the mean of x² over the pixels.

    At 1×1 maps x/√(ν²) is only a sign, so there the paper has `eps` learned, from 1e-4 on.
    `x` (N, C, H, W) comes back in the same shape and type.
    """

    eps: Tensor  # a scalar; a parameter if it is learned

    def __init__(
        self, num_features: int, *, eps: float = 1e-6, learnable_eps: bool = False
    ) -> None:
        super().__init__(num_features)
        if learnable_eps:
            self.eps = nn.Parameter(torch.tensor(eps))
        else:
            self.register_buffer("eps", torch.tensor(eps))

    def forward(self, x: Tensor) -> Tensor:
        return self._normed(x).to(x.dtype)

    def _normed(self, x: Tensor) -> Tensor:
        wide = widened(x)
        mean_square = wide.square().mean(dim=(2, 3), keepdim=True)
        return super().forward(wide * (mean_square + self.eps.abs()).rsqrt())


class ThresholdedFilterResponseNorm(FilterResponseNorm):
    """max(filter response norm, threshold), which takes the place of norm and ReLU.

    The threshold, one a channel from 0 on, is learned.
    """

    def __init__(self, num_features: int, *, eps: float, learnable_eps: bool) -> None:
        super().__init__(num_features, eps=eps, learnable_eps=learnable_eps)
        self.threshold = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(self._normed(x), self.threshold[:, None, None]).to(x.dtype)
