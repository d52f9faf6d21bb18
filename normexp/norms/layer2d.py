"""Layer norm over the channels of each pixel, as ConvNeXt has it.

Ba et al., "Layer Normalization", 2016; Liu et al., "A ConvNet for the 2020s", CVPR 2022.
`layer` has the other one, over channels and pixels of an image.
"""

from torch import Tensor, nn

from normexp.norms.wide import widened


class LayerNorm2d(nn.LayerNorm):
    """torch's layer norm with the channels as its last dimension.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-6) -> None:
        super().__init__(num_features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(widened(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).to(x.dtype)
