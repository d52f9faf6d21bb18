"""From bytes to numbers of about mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Standardise = Callable[[Tensor], Tensor]  # float (N, 3, H, W) in [0, 1] to the same shape

# A channel without any contrast stays at 0: far below the step of 1/255 between two bytes.
LEAST_STD = 1e-3


def to_unit(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1], in channels-last memory."""
    return images.permute(0, 3, 1, 2).float() / 255.0


@dataclass(frozen=True)
class ByDataset:
    """Mean 0 and variance 1 a channel over all training images."""

    mean: Tensor  # (3, 1, 1), of images in [0, 1]
    std: Tensor

    @classmethod
    @lru_cache(maxsize=1)
    def of(cls, images: Tensor) -> ByDataset:
        """Measure uint8 `images` (N, H, W, 3); the same tensor once only, if asked in a row."""
        # Exact whole-number sums, so that the result depends on neither order nor threads.
        counts = torch.stack(
            [torch.bincount(images[..., c].flatten(), minlength=256) for c in range(3)]
        ).double()
        values = torch.arange(256, device=images.device) / 255.0
        share = counts / counts.sum(1, keepdim=True)
        mean = (share * values).sum(1)
        std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt().clamp_min(LEAST_STD)
        return cls(*(x.float().view(3, 1, 1) for x in (mean, std)))

    def __call__(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ByImage:
    """Mean 0 and variance 1 a channel over each image: instance norm of the input, in effect."""

    def __call__(self, images: Tensor) -> Tensor:
        std, mean = torch.std_mean(images, (2, 3), correction=0, keepdim=True)
        return (images - mean) / std.clamp_min(LEAST_STD)


@dataclass(frozen=True)
class ScaledChannels:
    """As `standardise`, and then each channel times its factor; 0 leaves a channel out."""

    standardise: Standardise
    factors: Tensor  # (3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        return self.standardise(images) * self.factors


STANDARDISERS: dict[str, Callable[[Tensor], Standardise]] = {
    "dataset": ByDataset.of,
    "image": lambda _: ByImage(),
}


def standardiser(
    name: str,
    images: Tensor,
    red_scale: float | None = None,
    given: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Standardise:
    """Return the one called `name`, measured on uint8 `images` (N, H, W, 3).

    `dataset` takes the mean and the standard deviation of each channel that are `given`, if any. If
    `red_scale` is given, the red channel is multiplied by it afterwards.
    """
    if name not in STANDARDISERS:
        raise ValueError(f"data.standardise={name}: one of {', '.join(STANDARDISERS)} is needed")
    standardise = STANDARDISERS[name](images)
    if given and isinstance(standardise, ByDataset):
        mean, std = (torch.tensor(each, device=images.device).view(3, 1, 1) for each in given)
        standardise = ByDataset(mean, std)
    return _scaled(standardise, red_scale, images.device)


def of_record(
    mean: tuple[float, ...], std: tuple[float, ...], red_scale: float | None
) -> Standardise:
    """Return what these numbers standardise with; without them, each image's own are taken."""
    by_dataset = ByDataset(*(torch.tensor(values).view(-1, 1, 1) for values in (mean, std)))
    return _scaled(by_dataset if mean else ByImage(), red_scale, torch.device("cpu"))


def _scaled(standardise: Standardise, red_scale: float | None, device: torch.device) -> Standardise:
    if red_scale is None:
        return standardise
    factors = torch.tensor([red_scale, 1.0, 1.0], device=device).view(3, 1, 1)
    return ScaledChannels(standardise, factors)
