"""Runs as rows, and rows in cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from normexp.errors import UserError, sentence, suggestion
from normexp.runs.catalogue import Catalogue, Entry
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.record import LensRow
from normexp.runs.result import RunResult
from normexp.runs.runtime import Design
from normexp.runs.spec import RunSpec

Cell = tuple[object, ...]

NEEDED = {
    "contrast": {"change", "level", "statistics", "accuracy"},
    "statistics": {"change", "statistics", "batch_size", "alpha", "accuracy"},
}
"""What a report reads of a row, by its axis; a row that lacks it is of another version."""


@dataclass(frozen=True)
class Run:
    """A run on disk: its settings, and what it found."""

    folder: RunFolder
    spec: RunSpec
    state: str  # `finished`, `diverged`, `failed`, or `unfinished`
    result: RunResult | None = None
    failure: str | None = None  # why it failed
    studies: tuple[str, ...] = ()
    command: str = ""
    design: Design = Design.PLANNED
    modified: float = 0.0  # when something last happened to it, in seconds since 1970

    @classmethod
    def of(cls, entry: Entry) -> Run:
        record = entry.record
        found = (entry.state, entry.result, entry.failure)
        asked = (record.studies, record.command, record.design)
        return cls(entry.folder, record.spec, *found, *asked, entry.modified)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def seed(self) -> int:
        """What it shares with the runs that it is paired with."""
        return self.spec.seed

    @property
    def factors(self) -> Mapping[str, object]:
        """Its settings by dotted key."""
        return self.spec.factors

    @property
    def lens(self) -> Sequence[LensRow]:
        """The rows of its `lens.json`; none where it was not evaluated."""
        return self._lens[0]

    @property
    def lens_settings(self) -> Mapping[str, object]:
        """What each axis of its `lens.json` was asked; nothing where it was not evaluated."""
        return self._lens[1]

    def problem_of_lens(self) -> str | None:
        """Return why its `lens.json` cannot be read, and what to do."""
        return self._lens[2]

    @cached_property
    def _lens(self) -> tuple[Sequence[LensRow], Mapping[str, object], str | None]:
        try:
            record = self.folder.lens()
        except (OSError, DamagedFileError) as error:
            what = f"{self.folder.lens_file} cannot be read: {sentence(error)}"
            return (), {}, f"{what}; normexp evaluate run={self.name} measures again"
        rows = record.rows if record else ()
        whole = [row for row in rows if not NEEDED.get(str(row["axis"]), set()) - row.keys()]
        return whole, record.settings if record else {}, None


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network that was measured for a claim without training."""

    name: str
    path: Path  # the file that says so
    seed: int
    factors: Mapping[str, object]  # its settings by dotted key, as far as the claim names them
    values: Mapping[str, float]


Row = Run | MeasuredNetwork
R = TypeVar("R", bound=Row)


def of_study(found: Catalogue, outputs: Sequence[Path], study: str | None) -> list[Run]:
    """Return the runs that are of a study, or all; raises UserError if there is none."""
    entries, where = found.entries, " and ".join(map(str, outputs))
    if not entries and found.left_out:
        raise UserError(found.left_out[0])
    if not entries:
        raise UserError(f"there is no run in {where}; make one: normexp train")
    wanted = [entry for entry in entries if study is None or study in entry.record.studies]
    if not wanted:
        known = sorted({name for entry in entries for name in entry.record.studies})
        hint = suggestion(str(study), known) if known else "the runs there belong to none"
        raise UserError(f"study={study}: no run in {where} belongs to it; {hint}")
    return list(map(Run.of, wanted))


def design_of(rows: Iterable[Row]) -> Design:
    """Return the sequential design where seeds of some row were added after a look."""
    designs = {row.design for row in rows if isinstance(row, Run)}
    return Design.SEQUENTIAL if Design.SEQUENTIAL in designs else Design.PLANNED


def by_study(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs of each study; a run may be of several, or of none."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        for study in run.studies:
            found.setdefault(study, []).append(run)
    return found


def cells(rows: Iterable[R], by: Sequence[str]) -> dict[Cell, list[R]]:
    """Return the rows by their values of the settings `by`, in the order of these values.

    Raises UserError where no row has such a setting.
    """
    rows = list(rows)
    known = dict.fromkeys(key for row in rows for key in row.factors)
    for key in by:
        if rows and key not in known:
            raise UserError(f"by={key}: no run has such a setting; {suggestion(key, known)}")
    grouped: dict[Cell, list[R]] = {}
    for row in rows:
        grouped.setdefault(tuple(row.factors.get(key) for key in by), []).append(row)
    return {cell: grouped[cell] for cell in sorted(grouped, key=_order)}


def _order(cell: Cell) -> list[tuple[int, float, str]]:
    """What is not set, then numbers by size, then everything else by its text."""
    return [_place(value) for value in cell]


def _place(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))
