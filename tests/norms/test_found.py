"""Norms of networks of others: found by type, replaced, and their values carried over."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
import torch
from timm import create_model
from timm.layers.norm import LayerNorm2d
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torchvision.models import convnext_tiny, densenet121, resnet18, shufflenet_v2_x0_5, vgg11_bn
from torchvision.ops import FrozenBatchNorm2d

import normexp
from normexp.contracts import NormSite
from normexp.errors import UserError
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.found import ChannelsLast, make_sites
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm
from normexp.norms.scale_shift import ScaleShift


def images(number: int = 2, size: int = 64) -> Tensor:
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(0))


def seeded(network: nn.Module) -> Tensor:
    """Its logits, with dropout from one seed."""
    torch.manual_seed(0)
    logits: Tensor = network(images())
    return logits


def settled(network: nn.Module) -> nn.Module:
    """The network with scales, shifts and running statistics of its own."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.ndim == 1 and tensor.is_floating_point() and "fc" not in name:
            tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return network.eval()


Norm = TypeVar("Norm", bound=nn.Module)


def one_norm(norm: Norm) -> tuple[nn.Sequential, Norm]:
    """A convolution and `norm`, of six channels, and `norm`."""
    network = nn.Sequential(nn.Conv2d(3, 6, 1), norm)
    settled(network)
    return network, norm


NETWORKS = (resnet18, shufflenet_v2_x0_5)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_the_place_of_batch_norm_changes_no_bit(
    make: Callable[[], nn.Module], training: bool
) -> None:
    network = settled(make())
    swapped = copy.deepcopy(network)
    assert normexp.swap_norms(swapped, "batch") == []
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not set(map(id, norms)) & set(map(id, swapped.modules()))
    assert torch.equal(*(seeded(each.train(training)) for each in (network, swapped)))
    for name, value in network.state_dict().items():
        assert torch.equal(swapped.state_dict()[name], value), name


@pytest.mark.slow
@pytest.mark.parametrize("make", [vgg11_bn, densenet121])
def test_batch_norm_for_batch_norm_changes_no_bit_in_more_families(
    make: Callable[[], nn.Module],
) -> None:
    test_batch_norm_in_the_place_of_batch_norm_changes_no_bit(make, training=True)


def test_frozen_batch_norm_evaluates_as_batch_norm() -> None:
    network = settled(resnet18())
    swapped = copy.deepcopy(network)
    normexp.swap_norms(swapped, "batch_frozen")
    assert torch.equal(network(images()), swapped(images()))


def test_torchvision_s_frozen_batch_norm_thaws() -> None:
    network = settled(resnet18(norm_layer=FrozenBatchNorm2d))
    before = network(images())
    normexp.swap_norms(network, "batch")
    assert isinstance(network.bn1, nn.BatchNorm2d)
    torch.testing.assert_close(network(images()), before)


def test_scale_and_shift_go_to_parts_of_the_channels_in_their_order() -> None:
    network, own = one_norm(nn.BatchNorm2d(6))
    split = partial(IBN, instance_fraction=1 / 3, eps=1e-5, momentum=0.1)
    normexp.swap_norms(network, split)
    ibn = network[1]
    assert isinstance(ibn, IBN)
    assert ibn.batch.running_var is not None
    assert own.running_var is not None
    assert torch.equal(torch.cat([ibn.instance.weight, ibn.batch.weight]), own.weight)
    assert torch.equal(torch.cat([ibn.instance.bias, ibn.batch.bias]), own.bias)
    assert torch.equal(ibn.batch.running_var, own.running_var[2:])


def test_a_scale_that_means_something_else_is_not_carried_over() -> None:
    network, _ = one_norm(nn.BatchNorm2d(6))
    normexp.swap_norms(network, "none")
    assert isinstance(network[1], ScaleShift)
    assert torch.equal(network[1].weight, torch.ones(6))


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d(6, affine=True), nn.GroupNorm(2, 6), LayerNorm2d(6), nn.SyncBatchNorm(6)],
)
def test_each_kind_of_norm_is_found(norm: nn.Module) -> None:
    network, _ = one_norm(norm)
    normexp.swap_norms(network, "instance")
    assert isinstance(network[1], InstanceNorm)
    assert torch.equal(network[1].weight, norm.get_parameter("weight"))


def test_the_activation_within_a_norm_stays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), BatchNormAct2d(6))
    normexp.swap_norms(network, "batch")
    assert network(images()).min() == 0


def test_a_norm_of_channels_last_and_one_of_tokens() -> None:
    network = convnext_tiny()
    staying = normexp.swap_norms(network, "batch")
    assert staying == ["classifier.0"]  # on one pixel
    last = [name for name, m in network.named_modules() if isinstance(m, ChannelsLast)]
    assert len(last) == 18  # a block's, on (N, H, W, C)
    assert network.get_submodule("features.1.0.block.2.norm").num_features == 96
    assert network.train()(images()).shape == (2, 1000)
    vit = create_model("vit_tiny_patch16_224", num_classes=4)
    words = r"no norm that could be replaced.*norms without a map only \(blocks\.0\.norm1, "
    with pytest.raises(ValueError, match=words):
        normexp.swap_norms(vit, "batch")


def test_a_norm_that_does_not_fit_leaves_the_network_as_it_was() -> None:
    network, before = one_norm(nn.BatchNorm2d(6))
    with pytest.raises(ValueError, match="num_groups=8 does not divide 6"):
        normexp.swap_norms(network, "group")
    assert network[1] is before


class OfNames(nn.Module):
    """A network that takes its images under a name, and none alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        y: Tensor = self.norm(inputs.get("images"))
        return y


def test_the_norms_of_a_network_that_takes_no_plain_images_are_swapped() -> None:
    network = OfNames()
    assert normexp.swap_norms(network, "instance") == []
    assert isinstance(network.norm, InstanceNorm)


def test_a_norm_that_needs_a_setting_of_a_training_says_so() -> None:
    network, before = one_norm(nn.BatchNorm2d(6))
    with pytest.raises(UserError, match=r"norm=batch_memory depends on a setting.*batch_size"):
        normexp.swap_norms(network, "batch_memory")
    assert network[1] is before


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(6), None, 3])
def test_what_is_no_norm_layer_is_refused_with_the_remedy(norm: Any) -> None:
    network, before = one_norm(nn.BatchNorm2d(6))
    words = rf"norm of type {type(norm).__name__}: .*the class, nn\.BatchNorm2d, not a layer"
    with pytest.raises(ValueError, match=words):
        normexp.swap_norms(network, norm)
    assert network[1] is before


def test_a_network_that_is_itself_a_norm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"BatchNorm2d, is itself a norm: .* nn\.Sequential"):
        normexp.swap_norms(nn.BatchNorm2d(6), "instance")


@pytest.mark.parametrize("norm", ["instance", "both", "dyt", "layer2d"])
def test_a_frozen_norm_stays_frozen(norm: str) -> None:
    network, _ = one_norm(nn.BatchNorm2d(6))
    normexp.swap_norms(network.requires_grad_(False), norm)
    assert list(network[1].parameters())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_value_is_frozen_as_the_one_that_it_takes_over() -> None:
    network, own = one_norm(nn.BatchNorm2d(6))
    own.weight.requires_grad_(False)
    normexp.swap_norms(network, partial(IBN, instance_fraction=1 / 3, eps=1e-5, momentum=0.1))
    learning = {name: each.requires_grad for name, each in network[1].named_parameters()}
    assert learning == {
        "instance.weight": False,
        "instance.bias": True,
        "batch.weight": False,
        "batch.bias": True,
    }


def test_a_network_without_norms_says_so() -> None:
    with pytest.raises(ValueError, match="no norm that could be replaced"):
        normexp.swap_norms(create_model("dm_nfnet_f0", num_classes=2), "instance")


def test_a_norm_that_stands_twice_is_refused() -> None:
    norm = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="norms 0 and 2 are one"):
        normexp.swap_norms(nn.Sequential(norm, nn.ReLU(), norm), "batch")


COMPOSITE = ("both", "mean", "serial", "group_batch", "instance_noisy", "weight_mean_batch")
ALONE = ("rms2d", "none", "dyt", "grn", "weight", "instance_plain", "layer2d")


@pytest.mark.parametrize("first", [*COMPOSITE, *ALONE, "weight_std", "switchable"])
@pytest.mark.parametrize("second", ["batch", "weight"])
def test_a_norm_of_ours_is_replaced_as_a_whole(first: str, second: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    once = copy.deepcopy(network)
    assert normexp.swap_norms(once, second) == []
    normexp.swap_norms(network, first)
    assert normexp.swap_norms(network, second) == []
    assert str(network) == str(once)
    torch.testing.assert_close(network.train()(images()), once.train()(images()))


POOLED = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    "last", [(nn.LayerNorm([6, 32, 32]),), (*POOLED, nn.BatchNorm1d(6)), (*POOLED, nn.RMSNorm(6))]
)
def test_a_norm_that_cannot_be_replaced_is_named(last: tuple[nn.Module, ...]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), *last)
    assert normexp.swap_norms(network, "instance") == [str(len(network) - 1)]
    assert network[-1] is last[-1]


@pytest.mark.parametrize("norm", ["group_batch", "layer_batch", "weight_std_batch"])
def test_running_statistics_of_other_values_are_not_carried_over(norm: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    settled(network)
    scale = network.get_parameter("1.weight")
    normexp.swap_norms(network, norm)
    (batch,) = (m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert batch.running_mean is not None
    assert batch.running_var is not None
    assert not batch.running_mean.any()
    assert torch.equal(batch.running_var, torch.ones(8))
    assert torch.equal(batch.weight, scale)
    settled(network)
    normexp.swap_norms(network, "batch")  # over filters that are no longer standardised
    assert not network.get_buffer("1.running_mean").any()


def test_a_norm_that_cannot_change_a_convolution_leaves_all_as_they_were() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), *(nn.Conv2d(8, 8, 1, groups=8), nn.BatchNorm2d(8))
    )
    normexp.swap_norms(network, "weight_mean_batch")
    before, state = str(network), network.state_dict()
    with pytest.raises(ValueError, match="filters of one weight"):
        normexp.swap_norms(network, "weight_std")
    assert str(network) == before
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
    assert list(network.state_dict()) == list(state)


def test_a_norm_that_took_its_activation_with_it_is_not_replaced_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), EvoNormB0(8))
    with pytest.raises(ValueError, match="EvoNormB0 stands there for a norm and its activation"):
        normexp.swap_norms(network, "batch")
    assert isinstance(network[1], EvoNormB0)


def test_a_site_takes_what_libraries_hand_to_norms() -> None:
    site = NormSite(4, 1e-3, momentum=0.1, affine=True, device="cpu", dtype=torch.float32)
    assert site.num_features == 4
    assert make_sites(nn.Sequential(site, nn.Linear(2, 2))) == []
