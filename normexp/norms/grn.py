"""Global response norm: channels with a large response over the map are made larger.

Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", CVPR 2023.
"""

import torch
from torch import Tensor, nn

from normexp.norms.wide import widened


class GlobalResponseNorm(nn.Module):
    """y = x + weight·x·n + bias, n = g/(mean of g over the channels + eps).

    g, one a channel of an image, is the root of the sum of x² over its pixels. `weight` and `bias`,
    one a channel, start at 0, so the layer starts as the identity. `x` (N, C, H, W) comes back in
    the same shape and type.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        response = torch.linalg.vector_norm(wide, dim=(2, 3))  # (N, C)
        relative = response / (response.mean(1, keepdim=True) + self.eps)
        scale = 1 + self.weight * relative
        y = torch.addcmul(self.bias[:, None, None], wide, scale[:, :, None, None])
        return y.to(x.dtype)
