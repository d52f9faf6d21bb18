"""Measures of unequal inputs, on linear networks where they can be worked out by hand."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from normexp.contracts import LabelledImages
from normexp.data.contrast import NoContrast
from normexp.data.loader import Augmentation, Loader
from normexp.data.standardise import ScaledChannels
from normexp.evaluation.accuracy import Evaluator
from normexp.evaluation.inputs import (
    accuracy_by_gain,
    accuracy_without_channels,
    gradient_by_gain,
    quarters,
)
from normexp.precision import Precision

FP32 = Precision("fp32", torch.device("cpu"))
AS_IT_IS = Evaluator(lambda images: images, FP32)
BATCH = 8


def some_images(num: int = 40) -> LabelledImages:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (num, 2, 2, 3), generator=generator).to(torch.uint8)
    gain = torch.rand(num, generator=generator)
    return LabelledImages(pixels, torch.randint(0, 2, (num,), generator=generator), gain)


def loader(images: LabelledImages, batch_size: int = BATCH) -> Loader:
    augmentation = Augmentation(crop=0, flip=False, contrast=NoContrast())
    return Loader(images, batch_size, 0, augmentation, AS_IT_IS.standardise)


class Threshold(nn.Module):
    """Class 1 where the mean input is above a threshold."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(mean), mean - 0.25], dim=1)


def test_quarters_go_from_the_weakest_to_the_strongest() -> None:
    found = [part.tolist() for part in quarters(torch.tensor([5.0, 1, 7, 3, 2, 6, 4, 0]))]
    assert found == [[7, 1], [4, 3], [6, 0], [5, 2]]
    # Nothing is left out where four does not divide, or where all are alike.
    assert sorted(torch.cat(quarters(torch.ones(10))).tolist()) == list(range(10))


def test_accuracy_by_gain_is_that_of_amplified_images_of_each_quarter() -> None:
    images = some_images()
    assert images.gain is not None
    means = images.images.double().mean((1, 2, 3)) / 255 * images.gain
    right = ((means > 0.25).long() == images.labels).double()
    ordered = right[images.gain.argsort()]
    found = accuracy_by_gain(AS_IT_IS, Threshold(), images)
    assert found == pytest.approx([ordered[i : i + 10].mean().item() for i in range(0, 40, 10)])


def test_gradient_by_gain_is_the_one_of_softmax_regression() -> None:
    """∂loss/∂W = (p − y)·xᵀ and ∂loss/∂b = p − y, averaged over a quarter."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    serving = loader(some_images())
    epoch = serving.epoch(0)
    x, labels = epoch.batch(0)
    assert serving.images.gain is not None
    gain = serving.images.gain[epoch.order[:BATCH]]
    p = network(x).softmax(1) - torch.eye(2)[labels]
    flat = torch.cat([x.flatten(1), torch.ones(BATCH, 1)], dim=1)
    expected = []
    for quarter in range(4):
        part = [i for i in range(BATCH) if int((gain < gain[i]).sum()) // 2 == quarter]
        expected.append((p[part].T @ flat[part] / len(part)).norm().item())
    assert gradient_by_gain(AS_IT_IS, network, serving) == pytest.approx(expected, rel=1e-4)


def test_gradient_by_gain_leaves_the_network_and_the_random_numbers_alone() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 2))
    network.eval()
    before, random = deepcopy(network.state_dict()), torch.get_rng_state()
    assert len(gradient_by_gain(AS_IT_IS, network, loader(some_images()))) == 4
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not network.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in network.parameters())


def test_a_batch_of_less_than_four_has_no_quarters() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    assert gradient_by_gain(AS_IT_IS, network, loader(some_images(), batch_size=3)) == []


def test_without_a_channel_its_input_is_zero() -> None:
    class BySign(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            red, green, blue = x.mean((2, 3)).unbind(1)
            return torch.stack([torch.zeros_like(red), red - 2 * green + 3 * blue - 1], dim=1)

    images = some_images()
    images = LabelledImages(images.images, images.labels)
    factors = torch.tensor([5.0, 1.0, 1.0]).view(3, 1, 1)
    evaluator = Evaluator(ScaledChannels(lambda x: x, factors), FP32)
    means = images.images.double().mean((1, 2)) / 255
    expected = {}
    for left_out, channel in enumerate(("red", "green", "blue")):
        weights = torch.tensor([5.0, -2.0, 3.0]).double()
        weights[left_out] = 0
        predicted = (means @ weights > 1).long()
        expected[channel] = (predicted == images.labels).double().mean().item()
    assert len(set(expected.values())) > 1
    found = accuracy_without_channels(evaluator, BySign(), images)
    assert found == pytest.approx(expected)
