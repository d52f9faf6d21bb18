"""The facts about batch and instance norm that prove themselves, on random images."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from normexp.norms.group import GroupNorm
from normexp.norms.serial import SerialNorm

torch.set_num_threads(1)

C = 8
Padding = Literal["zeros", "reflect", "replicate"]


def random_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5))


def contrast(images: Tensor, factor: float) -> Tensor:
    """The corruption's formula, without its clipping: about each channel's mean."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * factor + mean


def rms(x: Tensor) -> float:
    return float(x.detach().double().square().mean().sqrt())


def seeded_conv(padding_mode: Padding = "zeros") -> nn.Conv2d:
    conv = nn.Conv2d(3, C, 3, padding=1, padding_mode=padding_mode, bias=False)
    conv.weight.data = torch.randn(
        conv.weight.shape, generator=torch.Generator().manual_seed(6)
    ) / (27**0.5)
    return conv


def instance_norm(channels: int, eps: float = 1e-5) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, eps=eps, affine=True)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_then_instance_norm_is_instance_norm(training: bool) -> None:
    """Exactly so with the eps that remains: each channel's is times (its variance + eps)."""
    eps = 1e-2
    serial = SerialNorm(C, eps=eps, momentum=0.1)
    scale = torch.linspace(0.2, 3, C)[:, None, None]
    images = scale * random_images(16, C, 4, 4)
    serial(3 * images + 1)  # running statistics unlike the batch's
    serial.train(training)
    assert serial.batch.running_var is not None
    variance = images.var(dim=(0, 2, 3), correction=0) if training else serial.batch.running_var
    remaining = (eps * (variance + eps)).reshape(1, -1, 1, 1)
    spread, mean = torch.var_mean(images, dim=(2, 3), correction=0, keepdim=True)
    expected = (images - mean) / (spread + remaining).sqrt()
    torch.testing.assert_close(serial(images), expected, rtol=1e-4, atol=1e-4)


def test_instance_norm_a_linear_step_and_pooling_give_the_same_for_every_image() -> None:
    images = random_images(16, C, 6, 6)
    norm, mix = instance_norm(C), nn.Conv2d(C, 5, 1)
    norm.weight.data.uniform_(0.5, 2, generator=torch.Generator().manual_seed(7))
    norm.bias.data = torch.linspace(-1, 1, C)
    pooled = mix(norm(images)).mean(dim=(2, 3))
    only_shift = mix(norm.bias[None, :, None, None]).flatten()
    torch.testing.assert_close(pooled, only_shift.expand(16, -1), rtol=0, atol=1e-5)
    rectified = mix(norm(images).relu()).mean(dim=(2, 3))
    assert rectified.std(dim=0).min() > 1e-3


def test_instance_norm_after_the_stem_alone_makes_a_network_blind_to_contrast() -> None:
    images = random_images(16, 3, 16, 16)
    rest = nn.Sequential(nn.ReLU(), nn.Conv2d(C, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(seeded_conv("reflect"), instance_norm(C, eps=1e-8), rest)
    torch.testing.assert_close(network(contrast(images, 0.15)), network(images), rtol=0, atol=1e-4)


def test_standardised_images_make_a_network_without_norms_blind_to_contrast() -> None:
    images = random_images(16, 3, 16, 16)
    standardise = nn.InstanceNorm2d(3, eps=1e-8)
    network = nn.Sequential(standardise, seeded_conv(), nn.ReLU())
    torch.testing.assert_close(network(contrast(images, 0.15)), network(images), rtol=0, atol=1e-4)


def test_batch_norm_is_not_blind_to_contrast_even_with_the_batch_s_statistics() -> None:
    """All images changed by one factor, it is; each image by its own, it is not."""
    images = random_images(16, 3, 16, 16)
    network = nn.Sequential(nn.InstanceNorm2d(3, eps=1e-8), nn.BatchNorm2d(3, eps=1e-8)).train()
    norm = network[1]
    centred = images - images.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(norm(0.15 * centred), norm(centred), rtol=0, atol=1e-4)
    factors = torch.linspace(0.15, 1, 16)[:, None, None, None]
    assert rms(norm(factors * centred) - norm(centred)) > 0.3


def test_zero_padding_breaks_the_blindness_to_contrast() -> None:
    """What is left with the other paddings is eps, beside a variance that shrank 44-fold."""
    images = random_images(64, 3, 32, 32)
    change: dict[Padding, float] = {}
    paddings: list[Padding] = ["zeros", "reflect", "replicate"]
    for padding_mode in paddings:
        network = nn.Sequential(seeded_conv(padding_mode), instance_norm(C))
        change[padding_mode] = rms(network(contrast(images, 0.15)) - network(images))
    assert change["zeros"] > 0.1
    assert change["reflect"] < 5e-3
    assert change["replicate"] < 5e-3


@pytest.mark.parametrize("size", [(2, 3), (8, 8)])
def test_batch_norm_of_one_image_in_training_is_instance_norm(size: tuple[int, int]) -> None:
    image = random_images(1, C, *size)
    torch.testing.assert_close(nn.BatchNorm2d(C).train()(image), instance_norm(C)(image))


def test_group_norm_with_one_group_is_layer_norm_and_with_c_groups_instance_norm() -> None:
    images = random_images(4, C, 3, 5)
    one = GroupNorm(C, num_groups=1, eps=1e-5)
    torch.testing.assert_close(one(images), nn.LayerNorm([C, 3, 5])(images))
    each = GroupNorm(C, num_groups=C, eps=1e-5)
    torch.testing.assert_close(each(images), instance_norm(C)(images))
