"""Batches from memory: an epoch is a pure function of the seed and its number.

All random draws of an epoch (order, crops, flips, contrast) are made at once, each kind from
its own stream, so a run goes on in mid-epoch without any saved sampler, and changing one
augmentation leaves the others as they were.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.utils import make_grid

from normexp.contracts import Contrast, LabelledImages


@dataclass(frozen=True)
class Standardiser:
    """From bytes to numbers of mean 0 and variance 1 a channel, over the training images."""

    mean: Tensor
    """(3, 1, 1), of images in [0, 1]."""
    std: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Standardiser:
        """Measure uint8 `images` (N, H, W, 3)."""
        # Exact whole-number sums, so that the result depends on neither order nor threads.
        counts = torch.stack(
            [torch.bincount(images[..., c].flatten(), minlength=256) for c in range(3)]
        ).double()
        values = torch.arange(256, device=images.device) / 255.0
        share = counts / counts.sum(1, keepdim=True)
        mean = (share * values).sum(1)
        std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt().clamp_min(1e-3)
        return cls(*(x.float().view(3, 1, 1) for x in (mean, std)))

    def __call__(self, images: Tensor) -> Tensor:
        """`images` float (N, 3, H, W) in [0, 1]."""
        return (images - self.mean) / self.std


def to_unit(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1], in channels-last memory."""
    return images.permute(0, 3, 1, 2).float() / 255.0


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images."""

    crop: int
    """Pixels of reflect padding before a random crop."""
    flip: bool
    contrast: Contrast


class Loader:
    """Serves augmented, standardised training batches, all of one size."""

    def __init__(
        self,
        images: LabelledImages,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        standardiser: Standardiser,
    ) -> None:
        if batch_size > len(images):
            raise ValueError(
                f"batch_size={batch_size} is more than the {len(images)} training images; "
                "take a smaller one, or a larger data.limit"
            )
        size = min(images.images.shape[1:3])
        if augmentation.crop >= size:
            raise ValueError(
                f"data.crop={augmentation.crop}: less than the images' {size} pixels is needed"
            )
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation
        self.standardiser = standardiser
        self.steps_per_epoch = len(images) // batch_size

    def epoch(self, number: int) -> Epoch:
        """Draw epoch `number`."""
        return Epoch(self, number)

    def contact_sheet(self) -> Tensor:
        """Return the first images of epoch 0 as the network sees them, but in [0, 1]: (3, H, W)."""
        images, _ = self.epoch(0).batch(0)
        unit = images * self.standardiser.std + self.standardiser.mean
        sheet: Tensor = make_grid(unit[:64].clamp(0, 1), nrow=8, padding=1)
        return sheet


class Epoch:
    """One pass over the training images; the few that do not fill a batch are left out."""

    def __init__(self, loader: Loader, number: int) -> None:
        self.loader = loader
        num_images, height, width = loader.images.images.shape[:3]
        num = loader.steps_per_epoch * loader.batch_size
        device = loader.images.images.device
        do = loader.augmentation

        def stream(purpose: str) -> torch.Generator:
            key = hashlib.sha256(f"{loader.seed}/{number}/{purpose}".encode()).digest()
            return torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))

        order = torch.randperm(num_images, generator=stream("order"))[:num]
        shifts = torch.randint(-do.crop, do.crop + 1, (2, num), generator=stream("crop"))
        flips = torch.rand(num, generator=stream("flip")) < 0.5 * do.flip
        rows = _reflected(torch.arange(height) + shifts[0, :, None], height)
        columns = _reflected(torch.arange(width) + shifts[1, :, None], width)
        columns = torch.where(flips[:, None], columns.flip(1), columns)
        self.order = order.to(device)
        self.rows = rows.to(device)
        self.columns = columns.to(device)
        self.draws = do.contrast.draw(num, stream("contrast")).to(device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, H, W), standardised, and labels (B,) of the epoch's `step`."""
        loader = self.loader
        part = slice(step * loader.batch_size, (step + 1) * loader.batch_size)
        index = self.order[part]
        pixels = loader.images.images[
            index[:, None, None], self.rows[part, :, None], self.columns[part, None, :]
        ]
        images = loader.augmentation.contrast(to_unit(pixels), self.draws[part])
        return loader.standardiser(images), loader.images.labels[index]


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Positions outside [0, size) as their mirror image at the border pixel."""
    positions = positions.abs()
    return torch.where(positions >= size, 2 * (size - 1) - positions, positions)
