"""EvoNorm-S0: a norm and its activation in one, found by search, without other images.

Liu et al., "Evolving Normalization-Activation Layers", NeurIPS 2020.
"""

import torch
from torch import Tensor, nn

from normexp.norms.group import check_groups
from normexp.norms.moments import pooled
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class EvoNormS0(ScaleShift):
    """y = weight·x·sigmoid(v·x)/√(variance of the channel's group + eps) + bias.

    The groups are group norm's; `v`, one a channel from 1 on, is learned. `x` (N, C, H, W) comes
    back in the same shape and type.
    """

    def __init__(self, num_features: int, *, num_groups: int = 8, eps: float = 1e-5) -> None:
        check_groups(num_groups, num_features)
        super().__init__(num_features)
        self.num_groups, self.eps = num_groups, eps
        self.v = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        variance, mean = torch.var_mean(wide, dim=(2, 3), correction=0)  # (N, C) each
        in_groups = (len(x), self.num_groups, -1)
        _, variance = pooled(mean.view(in_groups), variance.view(in_groups), dim=2)
        std = (variance + self.eps).sqrt().expand(mean.view(in_groups).shape).reshape(mean.shape)
        scale = self.weight / std
        gated = wide * torch.sigmoid(wide * self.v[:, None, None])
        return torch.addcmul(self.bias[:, None, None], gated, scale[:, :, None, None]).to(x.dtype)
