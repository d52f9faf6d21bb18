"""The identity of a folder of files, without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from normexp.errors import UserError


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path below `root` (with '/') and stat of every file but hidden ones, sorted."""
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        # A data set has many files, and a Path for each takes five times as long as its stat.
        below = Path(folder).relative_to(root).as_posix() + "/" if folder != str(root) else ""
        for name in sorted(names):
            if not name.startswith("."):
                yield below + name, os.stat(f"{folder}/{name}")  # noqa: PTH116


_states: dict[Path, str] = {}
"""By its root, the `tree_state` of a tree that was walked for its digest, until it is asked for."""


def tree_digest(root: Path) -> str:
    """Return a digest of the paths and sizes below `root`, the same on every machine."""
    root = root.resolve()
    sizes, times = hashlib.sha256(), hashlib.sha256(str(root).encode())
    for path, stat in walk(root):
        sizes.update(f"{path}\0{stat.st_size}\0".encode())
        times.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    _states[root] = times.hexdigest()[:16]
    return sizes.hexdigest()[:16]


def tree_state(root: Path) -> str:
    """Return a digest of paths, sizes and modification times, and of the place on this machine.

    A run takes both digests of its images, and many files take long to walk through: the walk of
    the last `tree_digest` serves once, if there was one.
    """
    root = root.resolve()
    if root not in _states:
        tree_digest(root)
    return _states.pop(root)


@cache
def images_digest(root: str | None) -> str:
    """Return the digest of `data.root` as this process first met it.

    Raises UserError where it is not given or is no folder.
    """
    if root is None:
        raise UserError(
            "data.root is not given; data=images needs the folder that holds train/ and test/, "
            "for example data.root=~/pictures"
        )
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.root={root}: there is no such folder; give the one with train/")
    return tree_digest(folder)
