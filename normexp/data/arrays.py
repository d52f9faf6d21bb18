"""Images and labels that are arrays already, as a data source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from normexp.contracts import DataSource, LabelledImages


def from_arrays(
    train: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    classes: Sequence[str],
    val: tuple[ArrayLike, ArrayLike] | None = None,
) -> DataSource:
    """Return a data source of arrays; each set is images uint8 (N, H, W, 3) and labels (N,).

    Labels are whole numbers from 0, the positions of their names in `classes`. Without `val`, a
    share of the training images is held out. Raises ValueError where an array is something else.

    >>> normexp.from_arrays(train=(x, y), test=(x2, y2), classes=("cat", "dog"))
    """
    number = len(classes)
    return DataSource(
        train=_labelled(*train, number),
        test=_labelled(*test, number),
        classes=tuple(classes),
        val=None if val is None else _labelled(*val, number),
    )


def _labelled(images: ArrayLike, labels: ArrayLike, num_classes: int) -> LabelledImages:
    pixels, numbers = np.ascontiguousarray(images), np.asarray(labels)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise ValueError(f"images {pixels.dtype} {pixels.shape}: uint8 (N, H, W, 3) is needed")
    if numbers.dtype.kind not in "iu" or numbers.shape != pixels.shape[:1]:
        raise ValueError(
            f"labels {numbers.dtype} {numbers.shape}: whole numbers ({len(pixels)},) are needed"
        )
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < num_classes:
        raise ValueError(f"labels from {numbers.min()} to {numbers.max()}: 0 to {num_classes - 1}")
    return LabelledImages(torch.from_numpy(pixels), torch.from_numpy(numbers.astype(np.int64)))
