"""Contrast augmentation, drawn per image."""

from functools import cache
from math import inf

import torch
from torch import Tensor

# The weights of red, green and blue in a grey image, as torchvision uses them.
GREY = (0.2989, 0.587, 0.114)


@cache
def _grey(device: torch.device) -> Tensor:
    """Return the weights on `device`; each copy to a GPU would wait for it."""
    return torch.tensor(GREY, device=device)


class NoContrast:
    """Images as they are."""

    def draw(self, num_images: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Nothing is drawn: (N, 0)."""
        return torch.empty(num_images, 0)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:  # noqa: ARG002
        return images


class _Uniform:
    """Numbers that are drawn from U[low, high]."""

    num_draws: int

    def __init__(self, low: float, high: float) -> None:
        are_numbers = isinstance(low, int | float) and isinstance(high, int | float)
        if not (are_numbers and 0 <= low <= high < inf):
            raise ValueError(f"low={low}, high={high}: 0 ≤ low ≤ high < ∞ is needed")
        self.low, self.high = low, high

    def draw(self, num_images: int, generator: torch.Generator) -> Tensor:
        """Return (N, num_draws) numbers."""
        uniform = torch.rand(num_images, self.num_draws, generator=generator)
        return self.low + (self.high - self.low) * uniform


class ContrastJitter(_Uniform):
    """f·x + (1 − f)·m, clamped to [0, 1]: m the mean of the image's grey, f one number an image.

    The formula of torchvision's `adjust_contrast`.
    """

    num_draws = 1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return `images` (N, 3, H, W), changed by the factors `draws` (N, 1)."""
        factor = draws.view(-1, 1, 1, 1)
        channel_means = images.mean((2, 3))
        grey = (channel_means * _grey(images.device)).sum(1).view(-1, 1, 1, 1)
        return torch.lerp(grey, images, factor).clamp_(0, 1)


class ChannelGain(_Uniform):
    """f·x + (1 − f)·m, clamped to [0, 1]: m a channel's own mean, f one number a channel."""

    num_draws = 3

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return `images` (N, 3, H, W), changed by the factors `draws` (N, 3)."""
        mean = images.mean((2, 3), keepdim=True)
        return torch.lerp(mean, images, draws.view(-1, 3, 1, 1)).clamp_(0, 1)
