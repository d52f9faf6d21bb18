"""The identity of a folder of files, without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path below `root` (with '/') and stat of every file but hidden ones, sorted."""
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(folder, name)
                yield path.relative_to(root).as_posix(), path.stat()


def tree_digest(root: Path) -> str:
    """Return a digest of the paths and sizes below `root`, the same on every machine."""
    digest = hashlib.sha256()
    for path, stat in walk(root):
        digest.update(f"{path}\0{stat.st_size}\0".encode())
    return digest.hexdigest()[:16]
