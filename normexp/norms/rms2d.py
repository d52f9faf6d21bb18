"""RMS norm over the channels of each pixel: over the root mean square, the mean left in.

Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019. The bias, which is the
linear layer's in the paper, is the norm's here, because the convolutions have none.
"""

from torch import Tensor
from torch.nn import functional as F

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class RMSNorm2d(ScaleShift):
    """y = weight·x/√(mean of x² over the channels + eps) + bias.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-6) -> None:
        super().__init__(num_features)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        pixels = widened(x).permute(0, 2, 3, 1)
        y = F.rms_norm(pixels, (self.num_features,), self.weight, self.eps) + self.bias
        return y.permute(0, 3, 1, 2).to(x.dtype)
