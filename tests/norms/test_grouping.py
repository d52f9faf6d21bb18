"""Which channels go together: group norm, and the split of instance and batch norm."""

from __future__ import annotations

import pytest
import torch
from timm.layers.norm import GroupNorm as TimmGroupNorm
from torch import Tensor, nn

from normexp.norms.group import GroupNorm
from normexp.norms.ibn import IBN

torch.set_num_threads(1)


def images(channels: int, *size: int) -> Tensor:
    return 1 + torch.randn(5, channels, *size, generator=torch.Generator().manual_seed(13))


@pytest.mark.parametrize("num_groups", [1, 4, 8])
def test_group_norm_is_torch_s_and_timm_s(num_groups: int) -> None:
    ours = GroupNorm(16, num_groups=num_groups, eps=1e-5)
    x = images(16, 3, 4)
    torch.testing.assert_close(ours(x), nn.GroupNorm(num_groups, 16)(x))
    torch.testing.assert_close(ours(x), TimmGroupNorm(16, num_groups)(x))


@pytest.mark.parametrize("num_groups", [0, -2, 5, 32])
def test_groups_that_do_not_divide_the_channels_are_refused(num_groups: int) -> None:
    with pytest.raises(ValueError, match=f"num_groups={num_groups} does not divide 16 channels"):
        GroupNorm(16, num_groups=num_groups, eps=1e-5)


def test_groups_of_one_value_are_refused() -> None:
    """torch would return about 0."""
    with pytest.raises(ValueError, match=r"num_groups=16 at an input of \(5, 16, 1, 1\)"):
        GroupNorm(16, num_groups=16, eps=1e-5)(images(16, 1, 1))


@pytest.mark.parametrize("channels", [3, 7, 16])
@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.7])
def test_ibn_covers_every_channel_once_with_the_first_by_instance(
    channels: int, fraction: float
) -> None:
    num_instance = round(channels * fraction)
    layer = IBN(channels, instance_fraction=fraction, eps=1e-5, momentum=0.1).train()
    x = images(channels, 3, 4)
    y = layer(x)
    assert y.shape == x.shape
    assert layer.instance.num_features + layer.batch.num_features == channels
    mean, variance = y.mean(dim=(2, 3)), y.var(dim=(2, 3), correction=0)
    by_instance = (mean.abs() < 1e-5).all(0) & ((variance - 1).abs() < 1e-3).all(0)
    assert by_instance.tolist() == [channel < num_instance for channel in range(channels)]
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(channels), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        y.var(dim=(0, 2, 3), correction=0), torch.ones(channels), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize(("channels", "fraction"), [(8, 0.0), (8, 1.0), (2, 0.1), (1, 0.5)])
def test_ibn_refuses_to_leave_one_norm_without_a_channel(channels: int, fraction: float) -> None:
    with pytest.raises(ValueError, match=f"instance_fraction={fraction} of {channels} channels"):
        IBN(channels, instance_fraction=fraction, eps=1e-5, momentum=0.1)
