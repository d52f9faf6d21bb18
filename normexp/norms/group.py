"""Group norm: statistics over the pixels and some neighbouring channels of one image.

Wu and He, "Group Normalization", ECCV 2018. With one group it is layer norm over (C, H, W),
with as many groups as channels instance norm; scale and shift stay per channel.
"""

from torch import Tensor, nn


def check_groups(num_groups: int, num_features: int) -> None:
    """Raise ValueError where the channels cannot be in so many groups of one size."""
    if num_groups < 1 or num_features % num_groups:
        raise ValueError(
            f"num_groups={num_groups} does not divide {num_features} channels: "
            "it must divide every width of the network"
        )


class PlainGroupNorm(nn.GroupNorm):
    """torch's group norm, called with the number of channels first; no scale and no shift.

    `x` (N, C, H, W) comes back in the same shape and type, under autocast too. Raises ValueError
    where a group has one value.
    """

    def __init__(
        self, num_features: int, *, num_groups: int, eps: float, affine: bool = False
    ) -> None:
        check_groups(num_groups, num_features)
        super().__init__(num_groups, num_features, eps=eps, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        if self.num_channels // self.num_groups * x.shape[2:].numel() == 1:
            raise ValueError(
                f"num_groups={self.num_groups} at an input of {tuple(x.shape)} leaves one value "
                "a group, which would always become 0: use fewer groups or a larger map"
            )
        return super().forward(x).to(x.dtype)


class GroupNorm(PlainGroupNorm):
    """Group norm with a scale and a shift for each channel."""

    def __init__(self, num_features: int, *, num_groups: int = 8, eps: float = 1e-5) -> None:
        super().__init__(num_features, num_groups=num_groups, eps=eps, affine=True)
