"""Instance norm on some channels, batch norm on the others.

Pan et al., "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018.
"""

import torch
from torch import Tensor, nn

from normexp.norms.instance import InstanceNorm


class IBN(nn.Module):
    """The first `instance_fraction` of the channels get instance norm, the rest batch norm.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError if one of the two
    norms would get no channel, and at 1×1 maps, where instance norm is not defined.
    """

    def __init__(
        self,
        num_features: int,
        *,
        instance_fraction: float = 0.5,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        num_instance = round(num_features * instance_fraction)
        if not 0 < num_instance < num_features:
            raise ValueError(
                f"instance_fraction={instance_fraction} of {num_features} channels leaves one of "
                "the two norms with no channel: set a fraction further from 0 and 1"
            )
        self.widths = [num_instance, num_features - num_instance]
        self.instance = InstanceNorm(num_instance, eps=eps)
        self.batch = nn.BatchNorm2d(num_features - num_instance, eps=eps, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = torch.split(x, self.widths, dim=1)
        return torch.cat([self.instance(first), self.batch(rest)], dim=1)
