"""A data set's tensors on disk: decoded or unpacked once, then shared by all runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from normexp import tensors
from normexp.contracts import DataSource, LabelledImages
from normexp.runs.files import DamagedFileError

HALVES = ("train", "test")


def cached(path: Path, make: Callable[[], DataSource], outdated: str | None = None) -> DataSource:
    """Return the data set at `path`; `make` it where there is none that is whole, and keep it.

    What it returns lies in the file, mapped into memory: processes share one copy, and what
    they do not use is not read a second time. Files beside `path` that fit the pattern `outdated`
    are removed before a new one is written. Raises what `make` raises, and OSError where the
    folder cannot be written.
    """
    try:
        return _read(path)
    except (FileNotFoundError, DamagedFileError):
        pass
    source = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(outdated) if outdated else ():
        old.unlink(missing_ok=True)
    tensors.save(
        path,
        {
            "classes": list(source.classes),
            **{f"{half}_images": getattr(source, half).images for half in HALVES},
            **{f"{half}_labels": getattr(source, half).labels for half in HALVES},
        },
    )
    return source


def _read(path: Path) -> DataSource:
    saved = tensors.load_mapped(path)
    train, test = (
        LabelledImages(saved[f"{half}_images"], saved[f"{half}_labels"]) for half in HALVES
    )
    return DataSource(train, test, tuple(saved["classes"]))
