"""Runs as rows, and rows in cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from normexp.errors import UserError, suggestion
from normexp.runs.catalogue import catalogue, flat
from normexp.runs.files import DamagedFileError
from normexp.runs.spec import LOCATIONS

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
    result: Mapping[str, Any] | None
    """Its `result.json`, with `test` = None where it diverged."""
    studies: tuple[str, ...]
    command: str

    @property
    def seed(self) -> int:
        """What it shares with the runs that it is paired with."""
        return int(self.settings["seed"])

    @cached_property
    def lens(self) -> list[dict[str, Any]] | None:
        """The rows of its `lens.json`, or None where there is none."""
        try:
            return list(json.loads((self.path / "lens.json").read_text(encoding="utf-8"))["rows"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def rows(outputs: Path, study: str | None = None) -> list[Row]:
    """Return the runs below `outputs`, of one study or all; raises UserError if there is none."""
    entries = catalogue(outputs)
    if not entries:
        raise UserError(f"there is no run in {outputs}; make one: normexp train")
    wanted = [entry for entry in entries if study is None or study in entry.studies]
    if not wanted:
        known = sorted({name for entry in entries for name in entry.studies})
        hint = suggestion(str(study), known) if known else "the runs there belong to none"
        raise UserError(f"study={study}: no run in {outputs} belongs to it; {hint}")
    found = []
    for entry in wanted:
        with suppress(FileNotFoundError, DamagedFileError):  # removed as we look
            record = entry.folder.record()
            found.append(
                Row(
                    name=entry.folder.path.name,
                    path=entry.folder.path,
                    settings=row_settings(record["settings"]),
                    state=entry.state,
                    failure=entry.failure,
                    result=entry.result,
                    studies=entry.studies,
                    command=record["command"],
                )
            )
    return found


def row_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings as its row has them."""
    return {key: _hashable(value) for key, value in flat(settings, LOCATIONS)}


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
    test = row.result["test"] if row.result else None
    return 100 * float(test["accuracy"]) if test else None


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


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _order(cell: Cell) -> list[tuple[bool, float, str]]:
    """Numbers by size, then everything else by its text."""
    return [
        (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value))
        for value in cell
    ]
