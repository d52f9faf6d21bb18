"""Runs that may be compared: blocks of series (such as norms) by columns (such as batch sizes).

Runs that differ in more than the two settings of a table, and the seed, fall into several blocks,
so that no mean is over different things. A setting that follows from the place in the table, such
as a learning rate tuned for each cell, makes no block of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from normexp.analysis.rows import Measure, Row, cells
from normexp.analysis.statistics import Spread, spread
from normexp.errors import UserError

ONE_COLUMN = "all"
MOST_PANELS = 3
"""A drawing with more is long to look at, and slow to make; the tables have all columns."""


@dataclass(frozen=True)
class Block:
    """A table of cells; a cell has the runs that differ in the seed only."""

    title: str
    """The settings that tell it from other blocks, as typed; empty if it is the only one."""
    by: Sequence[str]
    series: list[Any]
    columns: list[Any]
    cells: dict[tuple[Any, Any], list[Row]]

    @property
    def rows(self) -> list[Row]:
        """All runs of the block."""
        return [row for rows in self.cells.values() for row in rows]

    @property
    def numeric(self) -> bool:
        """Whether the columns are numbers above 0."""
        return all(isinstance(c, int | float) and c > 0 for c in self.columns)

    @property
    def drawn(self) -> list[Any]:
        """The columns with a panel of their own in drawings, the first and the last among them."""
        if len(self.columns) <= MOST_PANELS:
            return self.columns
        step = (len(self.columns) - 1) / (MOST_PANELS - 1)
        return [self.columns[round(i * step)] for i in range(MOST_PANELS)]

    @property
    def left_out(self) -> str:
        """What a drawing of these panels does not show, in words; empty where it shows all."""
        drawn, columns = len(self.drawn), len(self.columns)
        return f" Of {columns} columns {drawn} are drawn." if drawn < columns else ""

    def values(self, series: Any, column: Any, measure: Measure) -> list[float]:
        """Return what the runs of a cell found, without those that found nothing."""
        found = [measure(row) for row in self.cells.get((series, column), [])]
        return [value for value in found if value is not None]

    def spread(self, series: Any, column: Any, measure: Measure, level: float) -> Spread | None:
        """Return mean and interval of a cell, None where no run has found anything."""
        values = self.values(series, column, measure)
        return spread(values, level) if values else None

    def head(self, column: Any) -> str:
        """Return the heading of a column."""
        return f"{short(self.by[1])} {told(column)}" if len(self.by) > 1 else ONE_COLUMN

    def table(self, cell: Callable[[Any, Any], str]) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of a table of what `cell(series, column)` says."""
        head = [short(self.by[0]), *map(self.head, self.columns)]
        return head, [[told(s), *(cell(s, c) for c in self.columns)] for s in self.series]


def blocks(rows: Sequence[Row], by: Sequence[str]) -> list[Block]:
    """Return the blocks of the rows; raises UserError on settings that no run has."""
    if not 1 <= len(by) <= 2 or len(set(by)) < len(by):
        raise UserError(
            f"by=[{','.join(by)}]: one or two settings are needed, what is compared and over "
            "what, such as by=[norm,batch_size]"
        )
    cells(rows, by)
    apart = splitting(rows, by)
    return [
        _block(" ".join(f"{key}={told(v)}" for key, v in zip(apart, values, strict=True)), own, by)
        for values, own in cells(rows, apart).items()
    ]


def splitting(rows: Sequence[Row], by: Sequence[str]) -> list[str]:
    """Return the settings in which runs of one cell differ, a group's name before its settings."""
    apart: list[str] = []
    groups = cells(rows, by)
    for key in dict.fromkeys(key for row in rows for key in row.settings):
        differs = (len({row.settings.get(key) for row in cell}) > 1 for cell in groups.values())
        if key != "seed" and any(differs):
            apart.append(key)
            groups = cells(rows, [*by, *apart])
    return apart


def _block(title: str, rows: list[Row], by: Sequence[str]) -> Block:
    grouped = {(*cell, None)[:2]: own for cell, own in cells(rows, by).items()}
    series = list(dict.fromkeys(key for key, _ in grouped))
    columns = list(_ordered(rows, by[1])) if len(by) > 1 else [None]
    return Block(title, by, series, columns, grouped)


def _ordered(rows: list[Row], key: str) -> Iterator[Any]:
    for (value,) in cells(rows, [key]):
        yield value


def told(value: Any) -> str:
    """Return a setting's value as it is typed."""
    if isinstance(value, tuple):
        return f"[{','.join(map(told, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def short(key: str) -> str:
    """Return a setting's key as a word: the last part, or for `source._target_` all of it."""
    return key.replace("_", " ") if "." not in key else key
