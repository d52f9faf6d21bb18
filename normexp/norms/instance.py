"""Instance norm: each channel of each image by its own statistics, in training and evaluation.

Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
"""

from __future__ import annotations

from torch import nn


class InstanceNorm(nn.InstanceNorm2d):
    """torch's instance norm, with a scale and a shift for each channel."""

    def __init__(self, num_features: int, *, eps: float) -> None:
        super().__init__(num_features, eps=eps, affine=True)
