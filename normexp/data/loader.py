"""Batches from memory: an epoch is a pure function of the seed and its number.

All random draws of an epoch (order, crops, flips, contrast) are made at once, each kind from
its own stream, so a run goes on in mid-epoch without any saved sampler, and changing one
augmentation leaves the others as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.contracts import Contrast, LabelledImages
from normexp.data.gain import amplified
from normexp.data.standardise import Standardise, to_unit
from normexp.data.streams import stream

BLOCK = 128  # images prepared at once, or one batch: for a few, calls cost more than arithmetic


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images."""

    crop: int  # pixels of reflect padding before a random crop
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
        standardise: Standardise,
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
        self.standardise = standardise
        self.batches_per_epoch = len(images) // batch_size
        self._last: Epoch | None = None

    def epoch(self, number: int) -> Epoch:
        """Draw epoch `number`, unless it is the one that was drawn last."""
        if self._last is None or self._last.number != number:
            self._last = Epoch(self, number)
        return self._last

    def contact_sheet(self) -> Tensor:
        """Return the first images of epoch 0, augmented but not standardised: (3, H, W)."""
        first = max(1, 64 // self.batch_size)
        epoch = self.epoch(0)
        images = torch.cat([epoch.images(i) for i in range(min(first, self.batches_per_epoch))])
        framed = F.pad(images[:64], (1, 1, 1, 1))
        sheet = framed.new_zeros(64, *framed.shape[1:])
        sheet[: len(framed)] = framed
        height, width = framed.shape[2:]
        rows = sheet.view(8, 8, 3, height, width).permute(2, 0, 3, 1, 4)
        return rows.reshape(3, 8 * height, 8 * width)


class Epoch:
    """One pass over the training images; the few that do not fill a batch are left out."""

    def __init__(self, loader: Loader, number: int) -> None:
        self.loader = loader
        self.number = number
        num_images, height, width = loader.images.images.shape[:3]
        device = loader.images.images.device
        do = loader.augmentation

        def draws(purpose: str) -> torch.Generator:
            return stream(loader.seed, number, purpose)

        # For all images, also those that fill no batch: so the draws do not depend on its size.
        order = torch.randperm(num_images, generator=draws("order"))
        shifts = torch.randint(-do.crop, do.crop + 1, (2, num_images), generator=draws("crop"))
        flips = torch.rand(num_images, generator=draws("flip")) < 0.5 * do.flip
        rows = _reflected(torch.arange(height) + shifts[0, :, None], height)
        columns = _reflected(torch.arange(width) + shifts[1, :, None], width)
        columns = torch.where(flips[:, None], columns.flip(1), columns)
        self.order = order.to(device)
        self.rows = rows.to(device)
        self.columns = columns.to(device)
        self.draws = do.contrast.draw(num_images, draws("contrast")).to(device)
        self.batches_per_block = max(1, BLOCK // loader.batch_size)
        self._block = -1

    def images(self, index: int) -> Tensor:
        """Return the augmented images (B, 3, H, W), in [0, 1], of the epoch's batch `index`."""
        return self._augmented(self._batches(index, index + 1))

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the same images, standardised and with their gain, and their labels (B,)."""
        block, within = divmod(index, self.batches_per_block)
        if block != self._block:
            self._prepare(block)
        part = self._batches(within, within + 1)
        return self._images[part], self._labels[part]

    def _prepare(self, block: int) -> None:
        part = self._batches(block * self.batches_per_block, (block + 1) * self.batches_per_block)
        order, images = self.order[part], self.loader.images
        gain = None if images.gain is None else images.gain[order]
        self._images = amplified(self.loader.standardise(self._augmented(part)), gain)
        self._labels = images.labels[order]
        self._block = block

    def _augmented(self, part: slice) -> Tensor:
        pixels = self.loader.images.images[
            self.order[part, None, None], self.rows[part, :, None], self.columns[part, None, :]
        ]
        return self.loader.augmentation.contrast(to_unit(pixels), self.draws[part])

    def _batches(self, first: int, end: int) -> slice:
        size = self.loader.batch_size
        return slice(first * size, end * size)


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Positions outside [0, size) as their mirror image at the border pixel."""
    positions = positions.abs()
    return torch.where(positions >= size, 2 * (size - 1) - positions, positions)
