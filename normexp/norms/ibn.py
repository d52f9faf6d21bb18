"""Instance norm on some channels, batch norm on the others.

Pan et al., "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normexp.contracts import JoinsReLU, ThenReLU
from normexp.norms.instance import InstanceNorm
from normexp.norms.mixed import batch_instance_norm, has_kernel, rectified
from normexp.norms.running import update_running


class IBN(nn.Module, JoinsReLU):
    """The first `instance_fraction` of the channels get instance norm, the rest batch norm.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError if one of the two
    norms would get no channel, and at 1×1 maps, where instance norm is not defined.
    """

    gate: Tensor
    """0 for channels of instance norm, 1 for those of batch norm."""

    def __init__(
        self, num_features: int, *, instance_fraction: float, eps: float, momentum: float
    ) -> None:
        super().__init__()
        num_instance = round(num_features * instance_fraction)
        if not 0 < num_instance < num_features:
            raise ValueError(
                f"instance_fraction={instance_fraction} of {num_features} channels leaves one of "
                "the two norms with no channel: set a fraction further from 0 and 1"
            )
        self.widths = [num_instance, num_features - num_instance]
        self.instance = InstanceNorm(num_instance, eps=eps)
        self.batch = nn.BatchNorm2d(num_features - num_instance, eps=eps, momentum=momentum)
        is_batch = torch.arange(num_features) >= num_instance
        self.register_buffer("gate", is_batch.float(), persistent=False)

    def forward(self, x: Tensor, then: ThenReLU | None = None) -> Tensor:
        if torch.is_grad_enabled() and self.batch.training and has_kernel(x):
            weight = torch.cat([self.instance.weight, self.batch.weight])
            bias = torch.cat([self.instance.bias, self.batch.bias])
            y, moments = batch_instance_norm(x, weight, bias, self.gate, self.batch.eps, then)
            update_running(self.batch, *moments[:, self.widths[0] :])
            return y
        first, rest = torch.split(x, self.widths, dim=1)
        y = torch.cat([self.instance(first), self.batch(rest)], dim=1)
        return rectified(y, then)
