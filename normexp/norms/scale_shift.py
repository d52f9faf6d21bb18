"""No normalisation: each channel is scaled and shifted.

The control, and the last step of norms that have no layer of torch's to do it: with it every
norm has the same two parameters a channel.
"""

import torch
from torch import Tensor, nn


class ScaleShift(nn.Module):
    """y = weight·x + bias, for each channel.

    `x` (N, C, H, W) comes back in the same shape and type; the arithmetic is in float32 or wider.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.num_features}"
