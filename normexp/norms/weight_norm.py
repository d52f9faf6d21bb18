"""Weight norm: filters of length 1 and a learned scale for each, no statistics of the batch.

Salimans and Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training of
Deep Neural Networks", NeurIPS 2016. The paper's w = g·v/‖v‖ with a bias is here a convolution by
v/‖v‖ and a norm layer whose weight is g; its pass over the first batch sets g and the bias.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class UnitFilters(nn.Module):
    """Filters (C, …) divided by their Euclidean lengths."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight / weight.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()


def use_unit_filters(conv: nn.Conv2d) -> None:
    parametrize.register_parametrization(conv, "weight", UnitFilters())


class ScaleFromFirstBatch(ScaleShift):
    """y = weight·x + bias, which makes mean 0 and variance 1 of the first batch in training.

    After that first pass the two are parameters as any other. A channel that is constant in the
    first batch, or has one value, keeps the scale 1 and the shift 0.
    `x` (N, C, H, W) comes back in the same shape and type.
    """

    initialised: Tensor  # whether the first pass was made, a boolean scalar

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.register_buffer("initialised", torch.tensor(False))
        self._first_pass_over = False  # to read the buffer on the device only once
        self.register_load_state_dict_post_hook(_look_again)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self._first_pass_over:
            if not self.initialised:
                self._initialise(x)
            self._first_pass_over = True
        return super().forward(x)

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        wide = widened(x)
        variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        std = variance.sqrt()
        varies = std > 1e-5 * mean.abs()  # float32's rounding makes about 1e-7 of a constant
        self.weight.copy_(torch.where(varies, 1 / std, self.weight))
        self.bias.copy_(torch.where(varies, -mean / std, self.bias))
        self.initialised.fill_(True)


def _look_again(layer: ScaleFromFirstBatch, _: object) -> None:
    """After a state was loaded, the buffer may say something else."""
    layer._first_pass_over = False
