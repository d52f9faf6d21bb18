"""Instance, layer and batch statistics, mixed by learned weights.

Luo et al., "Differentiable Learning-to-Normalize via Switchable Normalization", ICLR 2019
(arXiv 2018).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from normexp.norms.moments import pooled
from normexp.norms.running import update_running, values_per_channel
from normexp.norms.wide import widened

SOURCES = ("instance", "layer", "batch")


class SwitchableNorm(nn.BatchNorm2d):
    """y = weight·(x − mean)/√(variance + eps) + bias, its mean and its variance each mixed.

    Two softmaxes over three logits mix the means and the variances of instance, layer and batch
    norm; they start equal. The batch part has running statistics, used in evaluation; for a batch
    of one image its statistics in training are that image's. `x` (N, C, H, W) comes back in the
    same shape and type. Raises ValueError in training where a channel has one value.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.mean_logits = nn.Parameter(torch.zeros(len(SOURCES)))
        self.variance_logits = nn.Parameter(torch.zeros(len(SOURCES)))

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        variance, mean = torch.var_mean(wide, dim=(2, 3), correction=0)  # (N, C) each
        pairs = [
            (mean, variance),
            pooled(mean, variance, dim=1),
            self._batch_statistics(x, mean, variance),
        ]
        mean = _mix(self.mean_logits, [m for m, _ in pairs])
        variance = _mix(self.variance_logits, [v for _, v in pairs])
        scale = self.weight * (variance + self.eps).rsqrt()
        y = (wide - mean[:, :, None, None]) * scale[:, :, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)

    def _batch_statistics(self, x: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and variance of batch norm, of the moments (N, C) of each image of `x`."""
        if not self.training and self.running_mean is not None and self.running_var is not None:
            return self.running_mean, self.running_var
        count = values_per_channel(x) if self.training else 0
        mean, variance = pooled(mean, variance, dim=0)
        if self.training:
            update_running(self, mean[0], variance[0] * (count / (count - 1)))
        return mean, variance

    def readings(self) -> Mapping[str, Tensor]:
        """The six weights: `mean_instance` … `variance_batch`. Each three sum to 1."""
        return {
            f"{moment}_{source}": weight
            for moment, logits in (("mean", self.mean_logits), ("variance", self.variance_logits))
            for source, weight in zip(SOURCES, logits.detach().softmax(0), strict=True)
        }


def _mix(logits: Tensor, parts: list[Tensor]) -> Tensor:
    """The sum of the parts, (N, C), weighted by the softmax of the logits."""
    first, *rest = zip(logits.softmax(0), parts, strict=True)
    mixed: Tensor = first[0] * first[1]
    for weight, part in rest:
        mixed = mixed + weight * part
    return mixed
