"""A file of shipped runs of our own, in the place of normexp's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from normexp.runs import reference
from normexp.runs.catalogue import catalogue
from normexp.runs.reference import About, Row
from normexp.runs.trimmed import row_of


def ship(
    patch: pytest.MonkeyPatch, file: Path, rows: Sequence[Row], about: About | None = None
) -> None:
    """Have normexp ship these rows; each call takes another `file`."""
    patch.setattr(reference, "FILE", file)
    reference.write(about or About(version=7), rows)


def rows_of(*outputs: Path) -> list[Row]:
    """The finished runs below some folders, as they are shipped."""
    return [row_of(entry) for entry in catalogue(*outputs) if entry.result]
