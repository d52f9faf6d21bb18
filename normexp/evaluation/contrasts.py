"""Changes of the test images' contrast, computed on their device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from normexp.data.contrast import ChannelGain
from normexp.data.standardise import to_unit
from normexp.evaluation.corruption import SEVERITIES, reduce_contrast


@dataclass(frozen=True)
class Change:
    """A change of images with a level; at level 1 nothing changes."""

    name: str
    level: float
    draw: Callable[[int, torch.Generator], Tensor]
    """`draw(N, generator)` returns the random numbers (N, P) of N images."""
    apply: Callable[[Tensor, Tensor], Tensor]
    """`apply(images, draws)`: uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1]."""


def unchanged() -> Change:
    return Change("none", 1.0, no_draws, lambda images, _: to_unit(images))


def corruption(share: float) -> Change:
    """Return the corruption of CIFAR-10-C, in uint8 (`corruption.py`)."""
    return Change("corruption", share, no_draws, partial(_corrupt, share=share))


def contrast(name: str, share: float) -> Change:
    """Return (x − m)·share + m, cut to [0, 1], m the channel's mean: the corruption in float."""
    return Change(name, share, partial(_same, share), _about_mean)


def contrast_per_image(level: float) -> Change:
    """Return `contrast` with a share for each image, from U[level, 1], or U[1, level]."""
    return Change("curve_per_image", level, partial(_per_image, level), _about_mean)


def channel_gain(level: float) -> Change:
    """Return `contrast` with a share for each channel of each image, as `contrast=gain` trains."""
    return Change("gain", level, _between(level).draw, _about_mean)


def power(level: float) -> Change:
    """Return x^level: the control, which no scale and shift undoes."""
    return Change("gamma", level, no_draws, lambda images, _: to_unit(images) ** level)


def all_changes(
    curve: list[float], per_image: list[float], gain: list[float], gamma: list[float]
) -> Iterator[Change]:
    """Yield every change of the contrast axis, `unchanged` first."""
    yield unchanged()
    yield from map(corruption, SEVERITIES.values())
    yield from (contrast("corruption_float", share) for share in SEVERITIES.values())
    yield from (contrast("curve", share) for share in curve)
    yield from map(contrast_per_image, per_image)
    yield from map(channel_gain, gain)
    yield from map(power, gamma)


def _corrupt(images: Tensor, _: Tensor, share: float) -> Tensor:
    return to_unit(reduce_contrast(images, share))


def _about_mean(images: Tensor, draws: Tensor) -> Tensor:
    return ChannelGain(0, 1)(to_unit(images), draws)


def _between(level: float) -> ChannelGain:
    return ChannelGain(min(level, 1.0), max(level, 1.0))


def no_draws(number: int, _: torch.Generator) -> Tensor:
    return torch.empty(number, 0)


def _same(share: float, number: int, _: torch.Generator) -> Tensor:
    return torch.full((number, 3), float(share))  # a whole number too


def _per_image(level: float, number: int, generator: torch.Generator) -> Tensor:
    return _between(level).draw(number, generator)[:, :1].expand(-1, 3)
