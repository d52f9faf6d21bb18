"""Batch renorm: in training the batch's statistics are corrected towards the running ones.

Ioffe, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models",
NeurIPS 2017.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normexp.norms.running import update_running
from normexp.norms.wide import widened


class BatchRenorm(nn.BatchNorm2d):
    """In training y = weight·(x̂·r + d) + bias, x̂ being batch norm's; evaluation is batch norm's.

    r = σ_batch/σ_running within [1/r_max, r_max] and d = (μ_batch − μ_running)/σ_running within
    ±d_max carry no gradient. The limits grow with the training's progress: they are 1 and 0, which
    is batch norm, up to `warmup_until`, then grow linearly to `r_max` at `r_until` and to `d_max`
    at `d_until`, all fractions of the training. `x` (N, C, H, W) comes back in the same shape and
    type.
    """

    progress: Tensor  # the share of the training that is done, a scalar

    def __init__(
        self,
        num_features: int,
        *,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_until: float = 0.04,
        r_until: float = 0.31,
        d_until: float = 0.19,
        eps: float = 1e-5,
        momentum: float = 0.01,
    ) -> None:
        if r_max < 1 or d_max < 0:
            raise ValueError(
                f"r_max={r_max} and d_max={d_max}: set them to 1 or more and 0 or more"
            )
        if not 0 <= warmup_until < min(r_until, d_until):
            raise ValueError(
                f"warmup_until={warmup_until} must be 0 or more, and less than r_until={r_until} "
                f"and d_until={d_until}"
            )
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.r_max, self.d_max = r_max, d_max
        self.warmup_until, self.r_until, self.d_until = warmup_until, r_until, d_until
        self.register_buffer("progress", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        with torch.no_grad():
            wide = widened(x)
            variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
            running_std = (self.running_var + self.eps).sqrt()
            r_max, d_max = self.limits()
            r = ((variance + self.eps).sqrt() / running_std).clamp(1 / r_max, r_max)
            d = ((mean - self.running_mean) / running_std).clamp(-d_max, d_max)
        y = F.batch_norm(
            x, None, None, self.weight * r, self.weight * d + self.bias, training=True, eps=self.eps
        )
        count = x.numel() / len(mean)
        update_running(self, mean, variance * (count / (count - 1)))
        return y

    def limits(self) -> tuple[Tensor, Tensor]:
        since = self.progress - self.warmup_until
        r_share = (since / (self.r_until - self.warmup_until)).clamp(0, 1)
        d_share = (since / (self.d_until - self.warmup_until)).clamp(0, 1)
        return 1 + (self.r_max - 1) * r_share, self.d_max * d_share

    def after_step(self, progress: float) -> None:
        """Keep the progress, which sets the limits."""
        self.progress.fill_(progress)
