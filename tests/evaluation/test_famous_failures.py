"""Networks that fail in evaluation in a known way, and the sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import normexp

CLASSES = 4


def drawn(
    number: int, seed: int, contrast: float = 1.0, shift: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Gratings of a frequency for each class, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (number,), generator=generator)
    phase = 6.3 * torch.rand(number, 1, generator=generator)
    waves = torch.sin((labels[:, None] + 1) * torch.arange(12) / 2 + phase)
    noise = 0.3 * torch.randn(number, 3, 12, 12, generator=generator)
    return contrast * (waves[:, None, None, :] + noise) + shift, labels


def batches(size: int, number: int, contrast: float = 1.0) -> Iterator[tuple[Tensor, Tensor]]:
    images, labels = drawn(size * number, 1, contrast)
    return zip(torch.split(images, size), torch.split(labels, size), strict=True)


def trained(network: nn.Module, size: int, steps: int, lr: float = 0.02) -> nn.Module:
    optimizer = torch.optim.Adam(network.parameters(), lr)
    for images, labels in batches(size, steps):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


def small(momentum: float = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in ((3, 12), (12, 16)):
        layers += [nn.Conv2d(before, after, 3, padding=1)]
        layers += [nn.BatchNorm2d(after, momentum=momentum), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES))


def said(network: nn.Module, size: int, contrast: float = 1.0) -> str:
    train = [images for images, _ in batches(max(size, 32), 12)]
    return str(normexp.lens(network, *drawn(400, 2, contrast), train, batch_size=size))


def test_a_momentum_too_small_for_few_steps() -> None:
    network = trained(small(momentum=0.001), 32, 80)
    words = said(network, 32)
    assert "the running statistics are wrong, not the weights" in words
    assert "the 0 and 1 that they started from, after 80 batches" in words
    # (1 - 0.001)^80 = 92 % of the first values are left.
    (share,) = (word for word in words.split("still ")[1].split(" %")[:1])
    assert 87 < float(share) < 97
    normexp.recalibrate(network, (images for images, _ in batches(32, 12)))
    assert "The running statistics are good" in said(network, 32)


def test_a_batch_of_two() -> None:
    words = said(trained(small(), 2, 500, 0.003), 2)
    assert "Batches of 2 are too small for their statistics" in words
    assert "too small" not in said(trained(small(), 32, 80), 32)


def test_test_images_of_another_contrast() -> None:
    words = said(trained(small(), 32, 80), 32, contrast=0.15)
    assert "the test images differ from the training images" in words
    assert "running statistics are wrong" not in words


def test_frozen_statistics_of_other_images() -> None:
    network = trained(small(), 32, 80)
    images, _ = drawn(640, 3, 0.5, 2.0)
    normexp.recalibrate(network, torch.split(images, 32))
    words = said(network, 32)
    assert "the running statistics are wrong, not the weights" in words
    assert "they are of other images, or were frozen" in words


def test_a_network_in_good_order_and_one_without_batch_statistics() -> None:
    network = trained(small(), 32, 80)
    assert said(network, 32).startswith("The running statistics are good: ")
    normexp.swap_norms(network, "instance")
    assert said(network, 32).startswith("No layer has batch statistics")


def test_the_lens_leaves_the_network_as_it_is() -> None:
    network = small().train()
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    said(network, 4)
    assert [network[0].training, network[1].training] == [True, False]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_images_without_labels_are_refused() -> None:
    images, labels = drawn(4, 0)
    with pytest.raises(ValueError, match="4 images and 3 labels"):
        normexp.lens(small(), images, labels[:3])
    with pytest.raises(ValueError, match="no batch is given"):
        normexp.recalibrate(small(), [])
