"""Which images lie below a folder, and what names them, without decoding any."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from normexp.errors import UserError
from normexp.runs.left_out import LeftOut
from normexp.runs.names import composed, readable

SETS = ("train", "val", "test")
JPEG = frozenset(("jfif", "jpe", "jpeg", "jpg"))
"""Whose files mostly differ in size where images differ: of others a sample is read too."""
SUFFIXES = JPEG | frozenset(
    (
        *("apng", "avif", "bmp", "dib", "gif", "ico", "j2k", "jp2", "jpx", "pbm", "pcx", "pgm"),
        *("png", "pnm", "ppm", "qoi", "sgi", "tga", "tif", "tiff", "webp"),
    )
)
"""What is read, by Pillow: images, and no documents or films, for which it calls other programs."""
SAMPLE_BYTES = 4096


class ImageFile(NamedTuple):
    """An image that a run may read."""

    path: str  # below the root, with '/', as the file system writes it
    size: int
    time: int  # of the last change, in nanoseconds
    sample: bytes  # a digest of some of its bytes, where the size says little


@dataclass(frozen=True)
class ImageTree:
    """The images in the class folders of train/, val/ and test/."""

    files: dict[str, dict[str, list[ImageFile]]]
    """By set and class, in order; only sets whose folder is there."""
    digest: str  # of paths, sizes, and samples of all but JPEG files: the same on every machine
    state: str  # of paths, sizes and times of change: another one where a file may have changed
    left_out: LeftOut


def image_tree(root: Path) -> ImageTree:
    """Walk through `root`; raises UserError where a folder cannot be read."""
    left_out = LeftOut()
    files = {name: _by_class(str(root), name, left_out) for name in SETS if (root / name).is_dir()}
    digest, state = hashlib.sha256(), hashlib.sha256()
    for name in sorted(files):
        for group in files[name].values():
            contents = [
                f"{composed(path)}\0{size}\0".encode("utf-8", "surrogateescape") + sample
                for path, size, _, sample in group
            ]
            digest.update(b"".join(contents))
            state.update(b"".join(contents) + repr([file.time for file in group]).encode())
    return ImageTree(files, digest.hexdigest()[:16], state.hexdigest()[:16], left_out)


def _by_class(root: str, name: str, left_out: LeftOut) -> dict[str, list[ImageFile]]:
    classes: dict[str, list[ImageFile]] = {}
    for entry in _entries(root, name):
        stat = _stat(entry)
        if stat is not None and S_ISDIR(stat.st_mode):
            found = classes.setdefault(readable(entry.name), [])
            found += _images(root, f"{name}/{entry.name}", left_out)
        elif _suffix(entry.name) in SUFFIXES:
            left_out.without_class.append(f"{name}/{entry.name}")
    return dict(sorted(classes.items()))


def _images(root: str, first: str, left_out: LeftOut) -> Iterator[ImageFile]:
    """Yield the images below the folder `first`, those of a folder before those of its folders."""
    waiting = [(first, frozenset(map(_identity, (root, f"{root}/{first}/.."))))]
    while waiting:
        below, above = waiting.pop()
        identity = _identity(f"{root}/{below}")
        if identity in above:
            left_out.loops.append(below)
            continue
        folders = []
        for entry in _entries(root, below):
            path, suffix, stat = f"{below}/{entry.name}", _suffix(entry.name), _stat(entry)
            if stat is not None and S_ISREG(stat.st_mode) and suffix in SUFFIXES:
                size = stat.st_size
                sample = _sample(entry.path, size) if suffix not in JPEG else b""
                yield ImageFile(path, size, stat.st_mtime_ns, sample)
            elif stat is not None and S_ISDIR(stat.st_mode):
                folders.append((path, above | {identity}))
            elif suffix in SUFFIXES:
                left_out.unreadable.append(path)
            else:
                left_out.suffixes[f".{readable(suffix)}" if suffix else "without a suffix"] += 1
        waiting += reversed(folders)


def _entries(root: str, below: str) -> list[os.DirEntry[str]]:
    """Return what lies in a folder and is not hidden, in the order of the names."""
    try:
        with os.scandir(f"{root}/{below}") as entries:
            found = {entry.name: entry for entry in entries if entry.name[0] != "."}
    except OSError as error:
        raise UserError(
            f"the folder {root}/{readable(below)} cannot be read ({error.strerror}); change its "
            "permissions or move it away"
        ) from error
    names = sorted(found)
    if not "".join(names).isascii():
        names.sort(key=composed)
    return [found[name] for name in names]


def _suffix(name: str) -> str:
    return name[name.rfind(".") + 1 :].lower() if "." in name else ""


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what is known of a file or folder, or None for a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None


def _identity(folder: str) -> tuple[int, int]:
    stat = os.stat(folder)  # noqa: PTH116
    return stat.st_dev, stat.st_ino


def _sample(file: str, size: int) -> bytes:
    """Return a digest of bytes at the beginning, in the middle and at the end of a file."""
    sample = hashlib.sha256()
    try:
        with open(file, "rb") as opened:  # noqa: PTH123
            for place in (0, size // 2, size - SAMPLE_BYTES):
                opened.seek(max(place, opened.tell()))
                sample.update(opened.read(SAMPLE_BYTES))
    except OSError:  # the training will name it
        return b""
    return sample.digest()


_walked: dict[Path, ImageTree] = {}
"""By its root, the last tree that was walked through for its digest, until it is asked for."""


def tree_digest(root: Path) -> str:
    """Return the digest of the images below `root`, the same on every machine."""
    root = root.resolve()
    _walked[root] = image_tree(root)
    return _walked[root].digest


def tree_of(root: Path) -> ImageTree:
    """Return the images below `root`.

    A run needs them for its name and for its training, and many files take long to walk through:
    the walk of the last `tree_digest` serves once, if there was one.
    """
    root = root.resolve()
    return _walked.pop(root, None) or image_tree(root)


def image_root(root: str) -> Path:
    """Return the folder that `data.root` means; raises UserError where it is none."""
    folder = os.path.expanduser(root)  # noqa: PTH111, Path raises where there is no such user
    if not os.path.isdir(folder):  # noqa: PTH112, Path raises where the name is too long
        raise UserError(f"data.root={root}: there is no such folder; give the one with train/")
    return Path(folder).resolve()


@cache
def images_digest(root: str | None) -> str:
    """Return the digest of `data.root` as first met; raises UserError if it is no folder."""
    if root is None:
        raise UserError(
            "data.root is not given; data=images needs the folder that holds train/ and test/, "
            "for example data.root=~/pictures"
        )
    return tree_digest(image_root(root))
