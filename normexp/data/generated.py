"""Ten classes of drawn 32×32 images: nothing to download, and made in a second from a seed.

The shape alone decides the class. Colours, contrast, size, position, a slight rotation, a shaded
background, specks and noise vary freely. The contrast varies fivefold between images and scales all
that stands out from the background's colour, except for the noise: so it matters whether a norm
takes its statistics per image or per batch. Either colour may be the brighter one, so the mean
image of a class is nearly flat, and a linear model learns next to nothing.
"""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from normexp.contracts import DataSource, LabelledImages
from normexp.data.cache import cached

SIDE = 32
RADIUS = (7.0, 10.5)  # pixels; with OFFSET, a crop shifted by 4 pixels cuts a tip at most
OFFSET = 2.0  # pixels from the centre, each way
TILT = math.radians(15)  # either way; plus and cross are 45° apart
CONTRAST = (0.2, 1.0)  # of the range of a pixel, log-uniform
STEP = (-0.25, 1.0)  # background to shape, by channel, relative; (-1, 1) is far slower to learn
SHADING = 0.2  # of the contrast, from the centre to the border
SPECKS = 3
SPECK_RADIUS = (0.8, 1.8)  # pixels
NOISE = 0.02  # standard deviation, of the range of a pixel: a tenth of the faintest contrast
CHUNK = 500  # images drawn at a time, 6 MB for one float map of them

Shape = Callable[[Tensor, Tensor], Tensor]
"""The distance from (x, y) to the outline, negative inside; x to the right, y down, radius 1."""


def _pointed(x: Tensor, y: Tensor, tips: int, inner: float) -> Tensor:
    """A star, one tip up: its tips at radius 1, the corners between them at radius `inner`."""
    half = math.pi / tips
    # Every edge folds onto the one from the tip (1, 0) to the corner at the angle `half`.
    angle = (torch.remainder(torch.atan2(x, -y) + half, 2 * half) - half).abs()
    radius = torch.hypot(x, y)
    run, rise = inner * math.cos(half) - 1, inner * math.sin(half)
    outwards = (radius * angle.cos() - 1) * rise - radius * angle.sin() * run
    return outwards / math.hypot(run, rise)


def _plus(x: Tensor, y: Tensor) -> Tensor:
    long, short = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    return torch.maximum(long - 1, short - 0.26)


def _bars(along: Tensor, across: Tensor) -> Tensor:
    from_nearest = (across - 0.75 * (across / 0.75).round().clamp(-1, 1)).abs()
    return torch.maximum(along.abs() - 0.95, from_nearest - 0.2)


SHAPES: dict[str, Shape] = {
    "disc": lambda x, y: torch.hypot(x, y) - 1,
    "ring": lambda x, y: (torch.hypot(x, y) - 0.78).abs() - 0.22,
    "crescent": lambda x, y: torch.maximum(torch.hypot(x, y) - 1, 0.8 - torch.hypot(x - 0.5, y)),
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) - 0.85,
    "triangle": lambda x, y: _pointed(x, y, tips=3, inner=0.5),
    "star": lambda x, y: _pointed(x, y, tips=5, inner=0.4),
    "plus": _plus,
    "cross": lambda x, y: _plus((x + y) * math.sqrt(0.5), (x - y) * math.sqrt(0.5)),
    "bars_horizontal": lambda x, y: _bars(along=x, across=y),
    "bars_vertical": lambda x, y: _bars(along=y, across=x),
}
"""By class; the order is that of the labels."""


def generated(num_train: int, num_test: int, seed: int, cache_dir: str) -> DataSource:
    """Return what `drawn` does, from the cache in `cache_dir` once it has been drawn."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    name = f"generated-{recipe}-{num_train}-{num_test}-{seed}.pt"
    draw = partial(drawn, num_train, num_test, seed)
    return cached(Path(cache_dir).expanduser() / name, draw)


def drawn(num_train: int, num_test: int, seed: int) -> DataSource:
    """Draw as many images of each class, in random order; both numbers are multiples of ten."""
    for name, number in (("num_train", num_train), ("num_test", num_test)):
        if not isinstance(number, int) or number <= 0 or number % len(SHAPES):
            raise ValueError(
                f"{name}={number} does not split evenly into {len(SHAPES)} classes: "
                f"choose a positive multiple of {len(SHAPES)}"
            )
    if not isinstance(seed, int):
        raise ValueError(f"seed={seed}: a whole number is needed")
    # Even and odd: no seed's test images are another seed's training images.
    return DataSource(
        train=_draw(num_train, torch.Generator().manual_seed(2 * seed)),
        test=_draw(num_test, torch.Generator().manual_seed(2 * seed + 1)),
        classes=tuple(SHAPES),
    )


def _draw(num_images: int, generator: torch.Generator) -> LabelledImages:
    labels = torch.randperm(num_images, generator=generator) % len(SHAPES)
    images = torch.cat([_draw_chunk(chunk, generator) for chunk in torch.split(labels, CHUNK)])
    return LabelledImages(images, labels)


def _draw_chunk(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Images uint8 (N, 32, 32, 3) of the classes `labels` (N,)."""

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        numbers = torch.rand(len(labels), 1, 1, channels, generator=generator)
        return low + (high - low) * numbers

    pixel = torch.arange(SIDE) - (SIDE - 1) / 2
    x, y = pixel.view(1, 1, SIDE, 1), pixel.view(1, SIDE, 1, 1)

    contrast = uniform(math.log(CONTRAST[0]), math.log(CONTRAST[1])).exp()
    step = uniform(*STEP, channels=3)
    step = contrast * step / step.abs().amax(-1, keepdim=True)
    step = torch.where(uniform(-1, 1) < 0, -step, step)
    # The background's colour leaves room for the shape's.
    images = (-step).clamp(min=0) + (1 - step.abs()) * uniform(0, 1, channels=3)
    for position in (x, y):
        slope = contrast * uniform(-SHADING, SHADING, channels=3) / (SIDE / 2)
        images = images + slope * position

    radius, tilt = uniform(*RADIUS), uniform(-TILT, TILT)
    right, down = x - uniform(-OFFSET, OFFSET), y - uniform(-OFFSET, OFFSET)
    turned_x = (right * tilt.cos() + down * tilt.sin()) / radius
    turned_y = (down * tilt.cos() - right * tilt.sin()) / radius
    turned_x = torch.where(uniform(-1, 1) < 0, -turned_x, turned_x)  # crescents open to either side
    distance = torch.empty(len(labels), SIDE, SIDE, 1)
    for label, shape in enumerate(SHAPES.values()):
        of_class = labels == label
        distance[of_class] = shape(turned_x[of_class], turned_y[of_class])
    images = images + step * _coverage(distance * radius)

    for _ in range(SPECKS):
        right, down = x - uniform(-SIDE / 2, SIDE / 2), y - uniform(-SIDE / 2, SIDE / 2)
        speck = _coverage(torch.hypot(right, down) - uniform(*SPECK_RADIUS))
        images = images + contrast * uniform(-1, 1, channels=3) * speck

    images = images + NOISE * torch.randn(images.shape, generator=generator)
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _coverage(distance: Tensor) -> Tensor:
    """The share of a pixel inside an outline that passes `distance` pixels from its centre."""
    return (0.5 - distance).clamp(0, 1)
