"""Extended batch norm: each channel's own mean, and one standard deviation for all channels.

Luo et al., "Extended Batch Normalization for Image Recognition", 2020 (arXiv 2003.05569).
"""

import torch
from torch import Tensor, nn

from normexp.norms.moments import pooled
from normexp.norms.running import update_running, values_per_channel
from normexp.norms.wide import widened


class ExtendedBatchNorm(nn.BatchNorm2d):
    """y = weight·(x − mean over (N, H, W))/√(variance over (N, C, H, W) + eps) + bias.

    The running statistics are batch norm's, one pair a channel, of which evaluation makes the
    variance of all channels. `x` (N, C, H, W) comes back in the same shape and type. Raises
    ValueError in training where a channel has one value.
    """

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        mean, variance = self.running_mean, self.running_var
        if self.training or mean is None or variance is None:
            count = values_per_channel(x)
            variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
            if self.training:
                update_running(self, mean, variance * (count / (count - 1)))
        _, variance = pooled(mean, variance, dim=0)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias[:, None, None]
        return torch.addcmul(shift, wide - mean[:, None, None], scale[:, None, None]).to(x.dtype)
