"""Instance norm: each channel of each image by its own statistics, in training and evaluation.

Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normexp.contracts import JoinsReLU, ThenReLU
from normexp.norms.mixed import group_norm, has_kernel, rectified


class InstanceNorm(nn.InstanceNorm2d, JoinsReLU):
    """torch's instance norm with scale and shift, faster on the CPU.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError at 1×1 maps.
    """

    def __init__(self, num_features: int, *, eps: float) -> None:
        super().__init__(num_features, eps=eps, affine=True)

    def forward(self, x: Tensor, then: ThenReLU | None = None) -> Tensor:
        return instance_norm(x, self.eps, self.weight, self.bias, then)


def instance_norm(
    x: Tensor,
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    then: ThenReLU | None = None,
) -> Tensor:
    """Return weight·IN(x) + bias, 1 and 0 if not given, or what comes of it by `then`.

    Raises ValueError at 1×1 maps.
    """
    if not has_kernel(x):
        return rectified(F.instance_norm(x, weight=weight, bias=bias, eps=eps), then)
    num_channels = x.shape[1]
    weight = torch.ones(num_channels) if weight is None else weight
    bias = torch.zeros(num_channels) if bias is None else bias
    return group_norm(x, weight, bias, num_channels, eps, then)
