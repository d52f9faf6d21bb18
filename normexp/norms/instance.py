"""Instance norm: each channel of each image by its own statistics, in training and evaluation.

Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
"""

from torch import Tensor, nn

from normexp.norms.wide import widened


class InstanceNorm(nn.InstanceNorm2d):
    """torch's instance norm, with a scale and a shift for each channel."""

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps=eps, affine=True)


class PlainInstanceNorm(nn.InstanceNorm2d):
    """torch's instance norm as it is by default, without scale and shift.

    Of bfloat16 torch would take the statistics in bfloat16; here they are taken in float32.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(widened(x)).to(x.dtype)
