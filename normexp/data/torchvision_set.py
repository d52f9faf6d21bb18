"""Any data set of torchvision that classifies images, by torchvision's own download."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from normexp.contracts import DataSource, LabelledImages
from normexp.data.cache import cached
from normexp.data.cifar10 import downloads
from normexp.data.decoding import RULES, UnusableImageError, to_rgb
from normexp.data.memory import check_memory
from normexp.errors import UserError

SETS = {True: "train", False: "test"}


def torchvision_set(
    dataset: str, root: str | None, cache_dir: str, resize: int | None, download: bool
) -> DataSource:
    """Return the training and test images of `torchvision.datasets.<dataset>`, such as CIFAR100.

    It is called with `train=True` and `False`, or with `split="train"` and `"test"`. Images become
    RGB as those of files do; `resize` makes all of one size, by their shorter side and the middle.
    Raises UserError if there is no such set, it cannot be downloaded, an image cannot be made RGB,
    or images do not fit into memory.
    """
    if not (resize is None or (isinstance(resize, int) and resize > 0)):
        raise UserError(f"data.source.resize={resize}: pixels are needed, 1 or more, or null")
    folder = downloads(root)
    place = hashlib.sha256(f"{folder.resolve()}\0{RULES}".encode()).hexdigest()[:8]
    file = Path(cache_dir).expanduser() / f"torchvision-{dataset}-{resize}-{place}.pt"
    return cached(file, partial(_read, dataset, folder, resize, download))


def _read(dataset: str, folder: Path, resize: int | None, download: bool) -> DataSource:
    from torchvision import datasets  # it takes a second to import

    make: Callable[..., Any] | None = getattr(datasets, dataset, None)
    if not isinstance(make, type):  # a record may name it: nothing but a class is called
        raise UserError(f"data.source.dataset={dataset}: torchvision has no such data set")
    names = inspect.signature(make).parameters
    if "root" not in names or not {"train", "split"} & {*names}:
        raise UserError(
            f"data.source.dataset={dataset} has no training and test images; data=images takes "
            "class folders"
        )
    halves = []
    for train, split in SETS.items():
        which: dict[str, object] = {"train": train} if "train" in names else {"split": split}
        more = {"download": download} if "download" in names else {}
        try:
            halves.append(make(root=str(folder), **which, **more))
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{dataset} is not in {folder} and could not be made ({reason}); "
                "data.root=<its folder>, or data=images for class folders"
            ) from error
    read, seen = (_images(half, f"{dataset}: ", resize) for half in halves)
    number = int(max(read.labels.max(), seen.labels.max())) + 1
    classes = getattr(halves[0], "classes", range(number))
    return DataSource(read, seen, tuple(map(str, classes)))


def _images(half: Sequence[tuple[Any, int]], where: str, resize: int | None) -> LabelledImages:
    first = _pixels(half[0][0], resize)
    check_memory(len(half), first.shape, where, "data.source.resize=64")
    stack = np.empty((len(half), *first.shape), np.uint8)
    labels = torch.empty(len(half), dtype=torch.int64)
    for i in range(len(half)):
        image, label = half[i]
        pixels = _pixels(image, resize)
        if pixels.shape != first.shape:
            raise UserError(
                f"{where}images of {first.shape[:2]} and {pixels.shape[:2]} pixels, and one size "
                "is needed; data.source.resize=64 makes all 64×64"
            )
        try:
            stack[i], labels[i] = pixels, int(label)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{where}a label is of type {type(label).__name__}, no number of a class"
            ) from error
    return LabelledImages(torch.from_numpy(stack), labels)


def _pixels(image: Image.Image, resize: int | None) -> np.ndarray:
    try:
        image = to_rgb(image)
    except UnusableImageError as error:
        raise UserError(f"an image cannot be used: {error}") from error
    if resize is not None:
        scale = resize / min(image.size)
        width, height = (max(resize, round(side * scale)) for side in image.size)
        left, top = (width - resize) // 2, (height - resize) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + resize, top + resize))
    return np.asarray(image)
