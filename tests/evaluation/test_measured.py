"""What claims say of networks that need no training, against what algebra says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from normexp.contracts import NormLayer
from normexp.evaluation.measured import (
    answer_spread,
    distance_to_instance,
    first_over_last,
    identity_fit,
    logit_gap,
    norms,
)
from normexp.models.cnn import CNN
from normexp.models.resnet18 import SmallImageResNet18
from normexp.models.resnet20 import ResNet20
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.serial import SerialNorm

Batches = list[tuple[Tensor, Tensor]]


def instance(num_features: int) -> nn.Module:
    return nn.InstanceNorm2d(num_features, affine=True)


def layer(num_features: int) -> nn.Module:
    return nn.GroupNorm(1, num_features)


def serial(num_features: int) -> nn.Module:
    return SerialNorm(num_features, eps=1e-5, momentum=0.1)


def network(norm_layer: NormLayer, depth: int = 6, after: str = "relu-pool") -> nn.Module:
    torch.manual_seed(0)
    return CNN(norm_layer, 10, [8] * 6, depth, "conv-norm-act", after, 3)


def batches(number: int = 4, size: int = 8) -> Batches:
    generator = torch.Generator().manual_seed(0)
    gain = torch.rand(number, size, 1, 1, 1, generator=generator) + 0.2
    images = gain * torch.randn(number, size, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (number, size), generator=generator)
    return list(zip(images, labels, strict=True))


@pytest.mark.parametrize("norm_layer", [instance, layer, ScaleShift])
def test_norms_without_batch_statistics_have_no_gap_between_modes(norm_layer: NormLayer) -> None:
    assert logit_gap(network(norm_layer), batches()) == {"largest": 0, "gap": 0}


def test_batch_norm_has_a_gap_that_is_smaller_in_larger_batches() -> None:
    gaps = [logit_gap(network(nn.BatchNorm2d), batches(40, size))["gap"] for size in (4, 64)]
    assert gaps[0] > gaps[1] > 0.01


def test_batch_norm_in_evaluation_can_be_the_identity_and_instance_norm_cannot() -> None:
    assert identity_fit(network(nn.BatchNorm2d), batches())["r2"] == pytest.approx(1, abs=1e-9)
    # The gains of the images, from 0.2 to 1.2, are lost in it.
    assert 0.5 < identity_fit(network(instance), batches())["r2"] < 0.98


def test_one_norm_after_the_other_is_at_no_distance_from_instance_norm() -> None:
    assert distance_to_instance(network(instance), batches())["distance"] < 1e-6
    assert distance_to_instance(network(serial), batches())["distance"] < 1e-3
    assert distance_to_instance(network(nn.BatchNorm2d), batches())["distance"] > 0.01


def test_all_images_have_one_answer_where_pooling_follows_instance_norm() -> None:
    assert answer_spread(network(instance, after="pool"), batches())["spread"] < 1e-5
    assert answer_spread(network(instance), batches())["spread"] > 0.01
    assert answer_spread(network(nn.BatchNorm2d, after="pool"), batches())["spread"] > 0.01


def test_the_ratio_of_gradients_is_that_of_the_first_and_the_last_convolution() -> None:
    net, of = network(nn.BatchNorm2d), batches()
    found = first_over_last(net, of)["log10_ratio"]
    net.zero_grad()
    nn.functional.cross_entropy(net(of[0][0]), of[0][1]).backward()  # type: ignore[no-untyped-call]
    first, last = (
        net.get_submodule(name).weight.grad for name in ("stage0.0.conv", "stage3.0.conv")
    )
    assert isinstance(first, Tensor)
    assert isinstance(last, Tensor)
    assert 10**found == pytest.approx((first.norm() / last.norm()).item(), rel=1e-4)


def test_no_gradient_at_all_is_a_number_too() -> None:
    class Nothing(nn.Module):
        def __init__(self, _: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    assert first_over_last(network(Nothing), batches())["log10_ratio"] == 0


@pytest.mark.parametrize(
    ("make", "norm", "number"),
    [
        (lambda: network(serial), SerialNorm, 6),
        (lambda: ResNet20(serial, 10, 4), SerialNorm, 19),
        (lambda: SmallImageResNet18(nn.BatchNorm2d, 10), nn.BatchNorm2d, 20),
    ],
    ids=["cnn", "resnet20", "resnet18"],
)
def test_the_norms_of_a_network_are_found(
    make: Callable[[], nn.Module], norm: type[nn.Module], number: int
) -> None:
    found = norms(make())
    assert len(found) == number
    assert {type(each) for each in found} == {norm}


def test_a_network_that_does_not_tell_its_norms_is_told() -> None:
    with pytest.raises(ValueError, match="does not tell where its norms are"):
        norms(nn.Sequential(nn.BatchNorm2d(3)))
