"""Runs as rows, and rows in cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from normexp.errors import UserError, suggestion
from normexp.runs.catalogue import catalogue
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.result import RunResult
from normexp.runs.spec import RunSpec

Cell = tuple[Any, ...]
Measure = Callable[["Row"], float | None]


@dataclass(frozen=True)
class Row:
    """One run."""

    name: str
    path: Path
    settings: Mapping[str, Any]
    """By dotted key; a group's name stands under the group's key, and a list is a tuple."""
    state: str
    """`finished`, `diverged`, `failed`, or `unfinished`."""
    failure: str | None
    """Why it failed."""
    result: RunResult | None
    """What it found."""
    studies: tuple[str, ...]
    command: str
    values: Mapping[str, float] | None = None
    """What was measured without training."""

    @property
    def seed(self) -> int:
        """What it shares with the runs that it is paired with."""
        return int(self.settings["seed"])

    @cached_property
    def lens(self) -> Sequence[Mapping[str, Any]] | None:
        """The rows of its `lens.json`, or None where there is none."""
        try:
            record = RunFolder(self.path).lens()
        except DamagedFileError:
            return None
        return record.rows if record else None


def rows(outputs: Path, study: str | None = None) -> list[Row]:
    """Return the runs below `outputs`, of one study or all; raises UserError if there is none."""
    entries = catalogue(outputs)
    if not entries:
        raise UserError(f"there is no run in {outputs}; make one: normexp train")
    wanted = [entry for entry in entries if study is None or study in entry.record.studies]
    if not wanted:
        known = sorted({name for entry in entries for name in entry.record.studies})
        hint = suggestion(str(study), known) if known else "the runs there belong to none"
        raise UserError(f"study={study}: no run in {outputs} belongs to it; {hint}")
    return [
        Row(
            name=entry.folder.name,
            path=entry.folder.path,
            settings=row_settings(entry.record.spec),
            state=entry.state,
            failure=entry.failure,
            result=entry.result,
            studies=entry.record.studies,
            command=entry.record.command,
        )
        for entry in wanted
    ]


def row_settings(spec: RunSpec) -> Mapping[str, Any]:
    """Return a run's settings as its row has them."""
    return spec.factors


def cells(rows: Iterable[Row], by: Sequence[str]) -> dict[Cell, list[Row]]:
    """Return the rows by their values of the settings `by`, in the order of these values.

    Raises UserError where no row has such a setting.
    """
    rows = list(rows)
    known = dict.fromkeys(key for row in rows for key in row.settings)
    for key in by:
        if rows and key not in known:
            raise UserError(f"by={key}: no run has such a setting; {suggestion(key, known)}")
    grouped: dict[Cell, list[Row]] = {}
    for row in rows:
        grouped.setdefault(tuple(row.settings.get(key) for key in by), []).append(row)
    return {cell: grouped[cell] for cell in sorted(grouped, key=_order)}


def pairs(a: Iterable[Row], b: Iterable[Row], measure: Measure) -> tuple[list[float], list[float]]:
    """Return the measure in `a` and in `b` for each seed that has it in both.

    Raises UserError where a cell has two runs of one seed, which differ in something else.
    """
    first, second = _by_seed(a, measure), _by_seed(b, measure)
    seeds = sorted(first.keys() & second.keys())
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds]


def accuracy(row: Row) -> float | None:
    """Return the accuracy on the test images in percent, None where the run has none."""
    return 100 * row.result.test.accuracy if row.result and row.result.test else None


def _by_seed(rows: Iterable[Row], measure: Measure) -> dict[int, float]:
    seen: dict[int, Row] = {}
    values = {}
    for row in rows:
        value = measure(row)
        if value is None:
            continue
        if other := seen.get(row.seed):
            keys = [key for key in row.settings if row.settings[key] != other.settings.get(key)]
            raise UserError(
                f"{row.name} and {other.name} have one seed and differ in {', '.join(keys)}; "
                "tell such runs apart before they are compared"
            )
        seen[row.seed] = row
        values[row.seed] = value
    return values


def _order(cell: Cell) -> list[tuple[bool, float, str]]:
    """Numbers by size, then everything else by its text."""
    return [
        (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value))
        for value in cell
    ]
