"""Mean-only batch norm: the batch's mean is taken out and its variance is left in.

Salimans and Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training of
Deep Neural Networks", NeurIPS 2016, section 4. It goes with weight norm, which has the scale.
"""

import torch
from torch import Tensor, nn

from normexp.norms.running import update_running, values_per_channel
from normexp.norms.weight_norm import ScaleFromFirstBatch
from normexp.norms.wide import widened

# Batch norm's usual eps: what it treats as constant, a learned scale must not blow up.
LEAST_VARIANCE = 1e-5


class BatchMean(nn.BatchNorm2d):
    """x less its mean over the batch and the pixels in training, less the running mean after it.

    The running variance is kept as batch norm's is, and not used. Raises ValueError in training
    where a channel has one value, which would always become 0.
    """

    def __init__(self, num_features: int, *, momentum: float | None) -> None:
        super().__init__(num_features, momentum=momentum, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.running_mean
        if self.training or mean is None:
            values_per_channel(x)
            variance, mean = torch.var_mean(x, dim=(0, 2, 3))
            if self.training:
                update_running(self, mean.detach(), variance.detach())
        return x - mean[:, None, None]


class MeanOnlyBatchNorm(ScaleFromFirstBatch):
    """y = weight·(x − mean) + bias, the mean batch norm's; weight is the g of the weight norm.

    The first batch in training sets the weight to 1/its standard deviation, and the bias stays 0;
    after that both are parameters as any other. A channel of less variance than LEAST_VARIANCE
    in that batch keeps the weight 1. `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(self, num_features: int, *, momentum: float | None = 0.1) -> None:
        super().__init__(num_features)
        self.batch = BatchMean(num_features, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.batch(widened(x))).to(x.dtype)

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        variance = x.square().mean(dim=(0, 2, 3))
        varies = variance > LEAST_VARIANCE
        self.weight.copy_(torch.where(varies, variance.rsqrt(), self.weight))
        self.initialised.fill_(True)
