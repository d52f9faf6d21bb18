"""A data set's tensors on disk: decoded or unpacked once, then shared by all runs."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from normexp import tensors
from normexp.contracts import DataSource, LabelledImages
from normexp.runs.files import DamagedFileError

SETS = ("train", "val", "test")
UNFINISHED = re.compile(r"\..+\.(?:pt|txt)\.(\d+)\.tmp")
"""With the number of the process, as `runs.files.write_atomic` names it."""
DAY = 24 * 60 * 60.0


def cached(path: Path, make: Callable[[], DataSource]) -> DataSource:
    """Return the data set at `path`; `make` it where there is none that is whole, and keep it.

    Raises what `make` raises, and OSError where the folder cannot be written.
    """
    try:
        return read(path)
    except (FileNotFoundError, DamagedFileError):
        pass
    source = make()
    write(path, source)
    return source


def write(path: Path, source: DataSource) -> None:
    """Write a data set; raises OSError where the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent)
    content: dict[str, object] = {"classes": list(source.classes), "notes": list(source.notes)}
    for name in SETS:
        if (part := getattr(source, name)) is not None:
            content |= {f"{name}_images": part.images, f"{name}_labels": part.labels}
    try:
        tensors.save(path, content)
    except FileNotFoundError:  # another machine took the half-written file for an unfinished one
        tensors.save(path, content)


def read(path: Path) -> DataSource:
    """Return the data set that was written to `path`.

    It lies in the file, mapped into memory: processes share one copy, and what they do not use is
    not read a second time. Raises FileNotFoundError, and DamagedFileError where it is not whole.
    """
    saved = tensors.load_mapped(path)
    train, val, test = (
        LabelledImages(saved[f"{name}_images"], saved[f"{name}_labels"])
        if f"{name}_images" in saved
        else None
        for name in SETS
    )
    if train is None or test is None:
        raise DamagedFileError(f"{path} is of another version of normexp")
    return DataSource(train, test, tuple(saved["classes"]), val, tuple(saved.get("notes", ())))


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed as they wrote have left in `folder`.

    A process of another machine that shares the folder may still write one; it begins again.
    """
    for file in folder.glob(".*.tmp"):
        if match := UNFINISHED.fullmatch(file.name):
            with suppress(OSError):
                is_old = file.stat().st_mtime < time.time() - DAY
                if is_old or not _is_running(int(match[1])):
                    file.unlink()


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where such a signal would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
