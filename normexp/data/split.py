"""Training, validation and test images of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from normexp.contracts import DataSource, LabelledImages

# The split is part of the data, not of a run: every seed holds out the same images.
SPLIT_SEED = 20201


@dataclass(frozen=True)
class Split:
    """Three sets without a common image."""

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what the source of the images has to say

    def to(self, device: torch.device) -> Split:
        train, val, test = (part.to(device) for part in (self.train, self.val, self.test))
        return Split(train, val, test, self.classes, self.notes)


@lru_cache(maxsize=1)  # a copy of the images, which many runs in one process share
def split(source: DataSource, limit: int | None, val_fraction: float) -> Split:
    """Hold out `val_fraction` of the first `limit` training images of a fixed shuffle.

    The test set is cut to `limit` images likewise, and so are validation images of the source's
    own, for which none are held out. Raises ValueError where a set would be empty.
    """
    train, test = (_shuffled(images, limit) for images in (source.train, source.test))
    if source.val is not None:
        val = _shuffled(source.val, limit)
        return Split(train, val, test, source.classes, source.notes)
    num_val = round(len(train) * val_fraction)
    if not 0 < num_val < len(train):
        raise ValueError(
            f"data.val_fraction={val_fraction} of {len(train)} training images leaves {num_val} "
            f"for validation and {len(train) - num_val} for training; both need at least one"
        )
    return Split(train[num_val:], train[:num_val], test, source.classes, source.notes)


def _shuffled(images: LabelledImages, limit: int | None) -> LabelledImages:
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    return images[torch.randperm(len(images), generator=generator)[:limit]]
