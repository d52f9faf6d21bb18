"""Files of images to tensors, and what has to be said about them."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from normexp.contracts import DataSource, LabelledImages
from normexp.data.decoding import Decoded, UnusableImageError, decoded
from normexp.data.memory import check_memory
from normexp.errors import UserError
from normexp.runs.names import readable, several
from normexp.runs.tree import ImageFile

MOST_SIZES = 5  # sizes that a message lists


def stacked(
    folder: Path,
    sets: Mapping[str, Mapping[str, list[ImageFile]]],
    *,
    convert: bool,
    resize: int | None,
) -> tuple[DataSource, list[bytes]]:
    """Decode the files, by set and class, below `folder`.

    Returns them with the digest of each file's bytes. Raises UserError that counts the images that
    cannot be used and names the first five.
    """
    paths = [file.path for classes in sets.values() for group in classes.values() for file in group]
    found = _Found(folder, paths, convert)
    for path, image in zip(paths, _decoded(folder, paths, resize), strict=True):
        found.add(path, image)
    pixels = found.pixels()
    parts, start = {}, 0
    for name, classes in sets.items():
        labels = torch.tensor([k for k, group in enumerate(classes.values()) for _ in group])
        parts[name] = LabelledImages(pixels[start : start + len(labels)], labels)
        start += len(labels)
    notes = (*found.notes(), *_in_two_sets(parts, paths))
    source = DataSource(**parts, classes=tuple(sets["train"]), notes=notes)
    return source, found.contents


def _decoded(
    folder: Path, paths: list[str], resize: int | None
) -> Iterator[Decoded | UnusableImageError]:
    def decode(path: str) -> Decoded | UnusableImageError:
        try:
            return decoded(folder / path, resize)
        except UnusableImageError as error:
            return error

    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # of Pillow, about oddities in files that it reads well
        yield from tqdm(
            pool.map(decode, paths),
            total=len(paths),
            desc="decoding images, once",
            unit=" files",
            disable=None,
        )


class _Found:
    """Decoded images, and what is odd about them."""

    def __init__(self, folder: Path, paths: list[str], convert: bool) -> None:
        self._folder = folder
        self._paths = paths
        self._convert = convert
        self._stack: np.ndarray | None = None
        self._count = 0
        self._unusable: list[str] = []
        self._converted: list[tuple[str, str]] = []
        self._turned: list[str] = []
        self._sizes: dict[tuple[int, ...], list[str]] = {}
        self.contents: list[bytes] = []

    def add(self, path: str, image: Decoded | UnusableImageError) -> None:
        if isinstance(image, UnusableImageError):
            self._unusable.append(f"{readable(path)} ({image})")
            return
        self.contents.append(image.content)
        if image.mode != "RGB":
            self._converted.append((readable(path), image.mode))
        if image.turned:
            self._turned.append(readable(path))
        shape = image.pixels.shape
        self._sizes.setdefault(shape, []).append(readable(path))
        if len(self._sizes) > 1:
            self._stack = None
            return
        if self._stack is None:
            self._stack = self._empty(shape)
        self._stack[self._count] = image.pixels
        self._count += 1

    def _empty(self, shape: tuple[int, ...]) -> np.ndarray:
        check_memory(len(self._paths), shape, f"{self._folder}: ", "data.resize=64")
        try:
            return np.empty((len(self._paths), *shape), np.uint8)
        except MemoryError as error:
            raise UserError(
                f"{self._folder}: {len(self._paths):,} images of {_size(shape)} pixels do not fit "
                "into memory; data.resize=64 makes them 64×64"
            ) from error

    def pixels(self) -> torch.Tensor:
        """Return uint8 (N, H, W, 3); raises UserError where images cannot be used as they are."""
        if problems := list(self._problems()):
            raise UserError(f"{self._folder}: {'; '.join(problems)}")
        return torch.from_numpy(self._stack)

    def _problems(self) -> Iterator[str]:
        if self._unusable:
            yield (
                f"{len(self._unusable)} of {len(self._paths):,} images cannot be read: "
                f"{several(self._unusable)}; replace or remove them"
            )
        if self._converted and not self._convert:
            named = [f"{path} ({mode})" for path, mode in self._converted]
            yield (
                f"{len(named)} of {len(self._paths):,} images are not RGB: {several(named)}; "
                "data.convert=true converts them"
            )
        if len(self._sizes) > 1:
            by_count = sorted(self._sizes, key=lambda shape: -len(self._sizes[shape]))
            counts = [
                f"{len(self._sizes[shape]):,} of {_size(shape)} ({self._sizes[shape][0]}"
                f"{', …' * (len(self._sizes[shape]) > 1)})"
                for shape in by_count
            ]
            side = min(by_count[0][:2])
            yield (
                f"the images have {len(counts)} sizes, and one is needed: "
                f"{several(counts, MOST_SIZES)}; data.resize={side} makes all {side}×{side}"
            )

    def notes(self) -> Iterator[str]:
        if self._converted:
            modes = Counter(mode for _, mode in self._converted)
            counts = ", ".join(f"{number:,} of mode {mode}" for mode, number in modes.items())
            yield f"{len(self._converted):,} of {len(self._paths):,} images made RGB: {counts}"
        if self._turned:
            yield f"images turned upright by their EXIF orientation: {len(self._turned):,}"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _in_two_sets(parts: Mapping[str, LabelledImages], paths: list[str]) -> Iterator[str]:
    """Yield a line for each two sets that have images of equal pixels."""
    known: dict[str, dict[bytes, str]] = {}
    remaining = iter(paths)
    for name, part in parts.items():
        digests = [
            (hashlib.sha256(pixels).digest(), next(remaining)) for pixels in part.images.numpy()
        ]
        for other, by_digest in known.items():
            twice = [(path, by_digest[d]) for d, path in digests if d in by_digest]
            if twice:
                path, same = map(readable, twice[0])
                yield (
                    f"warning: {len(twice):,} of {len(part):,} images for {_ROLES[name]} are the "
                    f"same, pixel by pixel, as images for {_ROLES[other]} ({path} and {same})"
                )
        known[name] = dict(digests)


_ROLES = {"train": "training", "val": "validation", "test": "the test"}
