"""CIFAR-10 (Krizhevsky 2009) by torchvision's own download and checksum."""

import os
from functools import partial
from pathlib import Path

import torch

from normexp.contracts import DataSource, LabelledImages
from normexp.data.cache import cached
from normexp.errors import UserError


def cifar10(root: str | None, cache_dir: str) -> DataSource:
    """Return CIFAR-10 from the cache in `cache_dir`, else from `root`, downloaded if need be.

    Raises UserError where the download is impossible or the files there are damaged.
    """
    cache = Path(cache_dir).expanduser() / "cifar10.pt"
    return cached(cache, partial(_by_torchvision, downloads(root)))


def downloads(root: str | None) -> Path:
    """Return the folder that `data.root` means, to download to; raises UserError for none."""
    if root is None:
        raise UserError("data.root=null: a folder is needed, such as data.root=data")
    return Path(os.path.expanduser(root))  # noqa: PTH111, Path raises where there is no such user


def _by_torchvision(folder: Path) -> DataSource:
    try:
        train, test = (_half(folder, train=train) for train in (True, False))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"CIFAR-10 is not in {folder} and could not be downloaded ({reason}); three ways on: "
            "data.root=<a folder with cifar-10-batches-py>, data=images data.root=<class folders "
            "of your own images>, or data=generated (drawn shapes, no download)"
        ) from error
    return DataSource(*train[:1], *test[:1], classes=train[1])


def _half(folder: Path, *, train: bool) -> tuple[LabelledImages, tuple[str, ...]]:
    # It takes a second to import, and a cached set needs none of it.
    from torchvision.datasets import CIFAR10

    half = CIFAR10(str(folder), train=train, download=True)
    images = LabelledImages(torch.from_numpy(half.data), torch.tensor(half.targets))
    return images, tuple(half.classes)
