"""EvoNorm-B0: a norm and its activation in one, found by search, with batch statistics.

Liu et al., "Evolving Normalization-Activation Layers", NeurIPS 2020.
"""

import torch
from torch import Tensor, nn

from normexp.norms.moments import pooled
from normexp.norms.running import update_running, values_per_channel
from normexp.norms.wide import widened


class EvoNormB0(nn.BatchNorm2d):
    """y = weight·x/max(√(batch variance + eps), v·x + √(instance variance + eps)) + bias.

    Evaluation has the running variance in the batch's place; the running mean is kept as batch
    norm's is, and not used. `v`, one a channel from 1 on, is learned. `x` (N, C, H, W) comes back
    in the same shape and type. Raises ValueError in training where a channel has one value.
    """

    def __init__(self, num_features: int, *, eps: float = 0.001, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.v = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        instance_variance, instance_mean = torch.var_mean(wide, dim=(2, 3), correction=0)
        variance = self.running_var
        if self.training or variance is None:
            count = values_per_channel(x)
            mean, variance = (v[0] for v in pooled(instance_mean, instance_variance, dim=0))
            if self.training:
                update_running(self, mean, variance * (count / (count - 1)))
        instance_std = (instance_variance + self.eps).sqrt()[:, :, None, None]
        batch_std = (variance + self.eps).sqrt()[:, None, None]
        divisor = torch.maximum(torch.addcmul(instance_std, wide, self.v[:, None, None]), batch_std)
        return torch.addcmul(
            self.bias[:, None, None], wide / divisor, self.weight[:, None, None]
        ).to(x.dtype)
