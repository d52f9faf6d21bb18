"""A data set's tensors on disk: decoded or unpacked once, then shared by all runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from normexp import tensors
from normexp.contracts import DataSource, LabelledImages
from normexp.runs.files import DamagedFileError, remove_unfinished

SETS = ("train", "val", "test")


def cached(path: Path, make: Callable[[], DataSource]) -> DataSource:
    """Return the data set at `path`; `make` it where there is none that is whole, and keep it.

    Raises what `make` raises. Where it cannot be kept, a note of the data set says so.
    """
    try:
        return read(path)
    except (OSError, DamagedFileError):
        pass
    source = make()
    try:
        write(path, source)
    except OSError as error:
        return replace(source, notes=(*source.notes, not_kept(path.parent, error)))
    return source


def not_kept(folder: Path, error: OSError) -> str:
    """Return the note of a data set that could not be kept."""
    return f"the images could not be kept in {folder}: {error.strerror}"


def write(path: Path, source: DataSource) -> None:
    """Write a data set; raises OSError where the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent, "*.pt")
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
