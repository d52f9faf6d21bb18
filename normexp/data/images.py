"""Images of the user's own, in class folders; decoded once, then read from a cache."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from normexp.contracts import DataSource, LabelledImages
from normexp.data.cache import HALVES, cached
from normexp.errors import UserError
from normexp.runs.tree import tree_state, walk

SUFFIXES = (".jpg", ".jpeg", ".png")


def images(root: str, cache_dir: str, content: str) -> DataSource:
    """Return the images below `root`/train/<class>/ and `root`/test/<class>/.

    `content` names the tree as it was when the run was named (`normexp.runs.tree`). The cache in
    `cache_dir` is made anew when a path, a size or a modification time below `root` has changed.
    Raises UserError that names the file or folder that cannot be used.
    """
    folder = Path(root).expanduser().resolve()
    cache = Path(cache_dir).expanduser() / f"images-{content}-{tree_state(folder)}.pt"
    return cached(cache, partial(_decode, folder), outdated=f"images-{content}-*.pt")


def _decode(folder: Path) -> DataSource:
    files = {half: _files_by_class(folder / half) for half in HALVES}
    classes = tuple(files["train"])
    if tuple(files["test"]) != classes:
        differing = sorted(set(classes) ^ set(files["test"]))
        raise UserError(
            f"{folder}: train/ and test/ have different class folders: {', '.join(differing)}"
        )
    paths = [path for half in HALVES for group in files[half].values() for path in group]
    with ThreadPoolExecutor() as pool:
        decoded = tqdm(
            pool.map(_pixels, paths),
            total=len(paths),
            desc="decoding images, once",
            unit=" files",
            disable=None,
        )
        pixels = _stacked(paths, decoded)
    labels = {
        half: [k for k, group in enumerate(files[half].values()) for _ in group] for half in HALVES
    }
    num_train = len(labels["train"])
    return DataSource(
        LabelledImages(pixels[:num_train], torch.tensor(labels["train"])),
        LabelledImages(pixels[num_train:], torch.tensor(labels["test"])),
        classes,
    )


def _files_by_class(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; data=images needs <root>/train and /test")
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = {
        c.name: [c / path for path, _ in walk(c) if path.lower().endswith(SUFFIXES)]
        for c in classes
    }
    if len(found) < 2:
        raise UserError(f"{folder} has {len(found)} class folders; at least two are needed")
    for name, group in found.items():
        if not group:
            raise UserError(f"{folder / name} has no image ({', '.join(SUFFIXES)}); add or remove")
    return found


def _stacked(paths: list[Path], decoded: Iterable[np.ndarray | str]) -> torch.Tensor:
    """(N, H, W, 3) from pixels or, for a file that cannot be used, the reason."""
    stacked: np.ndarray | None = None
    for i, (path, pixels) in enumerate(zip(paths, decoded, strict=True)):
        if isinstance(pixels, str):
            raise UserError(f"{path}: {pixels}")
        if stacked is None:
            stacked = np.empty((len(paths), *pixels.shape), np.uint8)
        if pixels.shape != stacked.shape[1:]:
            height, width = stacked.shape[1:3]
            raise UserError(
                f"{path} has {pixels.shape[1]}×{pixels.shape[0]} pixels, but {paths[0]} has "
                f"{width}×{height}; all images must be of one size: resize or remove it"
            )
        stacked[i] = pixels
    assert stacked is not None
    return torch.from_numpy(stacked)


def _pixels(path: Path) -> np.ndarray | str:
    """uint8 (H, W, 3), or the reason why there are none."""
    try:
        with Image.open(path) as image:
            if image.mode != "RGB":
                return (
                    f"the image is of mode '{image.mode}', not RGB (grey images are 'L'); "
                    "convert or remove it"
                )
            return np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        return f"the image cannot be read ({error}); replace or remove it"
