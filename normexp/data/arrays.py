"""Images and labels that are arrays already, as a data source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from normexp.contracts import DataSource, LabelledImages
from normexp.errors import remedies


def from_arrays(
    train: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    classes: Sequence[str | int],
    val: tuple[ArrayLike, ArrayLike] | None = None,
) -> DataSource:
    """Return a data source of arrays; each set is images uint8 (N, H, W, 3) and labels (N,).

    Labels are whole numbers from 0, the positions of their names in `classes`. Images of all sets
    are of one size. The arrays are copied. Without `val`, a share of the training images is held
    out. Raises ValueError where an array is something else.

    >>> normexp.from_arrays(train=(x, y), test=(x2, y2), classes=("cat", "dog"))
    """
    names = _names(classes)
    given = {"train": train, "test": test} | ({} if val is None else {"val": val})
    sets = {name: _labelled(name, *each, names) for name, each in given.items()}
    sizes = {name: "×".join(map(str, each.images.shape[1:3])) for name, each in sets.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"images of different sizes ({found}): scale them to one size")
    return DataSource(sets["train"], sets["test"], names, sets.get("val"))


def _names(classes: Sequence[str | int]) -> tuple[str, ...]:
    is_list = isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str)
    names = tuple(map(str, classes)) if is_list else ()
    if not names:
        raise ValueError(f"classes={classes!r}: a list of names is needed, such as ('cat', 'dog')")
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"classes: {twice[0]} is there twice; give each class a name of its own")
    return names


def _labelled(
    name: str, images: ArrayLike, labels: ArrayLike, classes: Sequence[str]
) -> LabelledImages:
    # A copy: the caller's array may change later, or be read-only.
    pixels, numbers = np.array(images, order="C"), np.asarray(labels)
    if pixels.shape[:1] == (0,):
        raise ValueError(f"{name}: there is no image; one at least is needed")
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise ValueError(
            f"{name} images {pixels.dtype} {pixels.shape}: uint8 (N, H, W, 3) is needed"
            + _remedy_of_images(pixels)
        )
    if numbers.dtype.kind not in "iu" or numbers.shape != pixels.shape[:1]:
        raise ValueError(
            f"{name} labels {numbers.dtype} {numbers.shape}: whole numbers ({len(pixels)},) are "
            f"needed{_remedy_of_labels(numbers, len(classes))}"
        )
    least, most = numbers.min(), numbers.max()
    if not 0 <= least <= most < len(classes):
        remedy = remedies({"subtract 1": (least, most) == (1, len(classes))})
        raise ValueError(
            f"{name} labels from {least} to {most}: 0 to {len(classes) - 1} are needed, the "
            f"positions in classes{remedy}"
        )
    return LabelledImages(torch.from_numpy(pixels), torch.from_numpy(numbers.astype(np.int64)))


def _remedy_of_images(pixels: np.ndarray) -> str:
    is_channels_first = pixels.ndim == 4 and pixels.shape[1] == 3 != pixels.shape[-1]
    known = {
        ".transpose(0, 2, 3, 1) puts the channels last": is_channels_first,
        "(255 * x).round().astype(np.uint8) is for values from 0 to 1": pixels.dtype.kind == "f",
    }
    return remedies(known)


def _remedy_of_labels(labels: np.ndarray, num_classes: int) -> str:
    if labels.dtype.kind in "UO":
        return "; [classes.index(name) for name in labels] makes them of names"
    known = {
        ".argmax(1) makes them of one-hot labels": labels.shape[1:] == (num_classes,),
        ".ravel() takes off the second dimension": labels.shape[1:] == (1,),
        ".astype(int) makes them whole": labels.ndim == 1 and labels.dtype.kind in "fb",
    }
    return remedies(known)
