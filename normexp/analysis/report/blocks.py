"""Runs that may be compared: blocks of series (such as norms) by columns (such as batch sizes).

Runs that differ in more than the two settings of a table, and the seed, fall into several blocks,
so that no mean is over different things. A setting that follows from the place in the table, such
as a learning rate tuned for each cell, makes no block of its own; a network, data or a budget do.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from normexp.analysis.measures import Measure, accuracy
from normexp.analysis.rows import Run, cells
from normexp.analysis.scores import Chance, Scores, accuracies, chance_of, counts, ended
from normexp.analysis.spread import PERCENT, Range, Spread, spread
from normexp.errors import UserError
from normexp.kinds import typed

ONE_COLUMN = "all"
APART = ("data", "model")
"""Groups whose choices share no table, also where none of their cells is the same."""
GIVEN = (*APART, "epochs", "steps", "numerics")
"""What is trained, how long, and by which code: series are compared only where it is the same."""
FIRST = ("norm", "batch_size", "contrast", "model", "optimizer")
"""Settings that are asked for first."""
MOST_PANELS = 4
"""A drawing with more is long to look at, and slow to make; the tables have all columns."""


@dataclass(frozen=True)
class Block:
    """A table of cells; a cell has the runs that differ in the seed only."""

    title: str  # the settings that tell it from other blocks, as typed; empty if it is the only one
    by: Sequence[str]
    series: list[object]
    columns: list[object]  # values of the second setting; [None] where there is none
    cells: dict[tuple[object, object], list[Run]]

    @property
    def places(self) -> Iterator[tuple[object, object]]:
        """The series and column of each cell, empty ones included."""
        return ((series, column) for series in self.series for column in self.columns)

    @property
    def runs(self) -> list[Run]:
        return [run for runs in self.cells.values() for run in runs]

    @property
    def drawn(self) -> list[object]:
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

    def cell(self, series: object, column: object) -> list[Run]:
        return self.cells.get((series, column), [])

    def has(self, measure: Measure) -> bool:
        return any(measure(run) is not None for run in self.runs)

    def values(self, series: object, column: object, measure: Measure) -> list[float]:
        """Return what the runs of a cell found, without those that found nothing."""
        found = [measure(run) for run in self.cell(series, column)]
        return [value for value in found if value is not None]

    @cached_property
    def chance(self) -> Chance:
        """Chance for the block's first finished run."""
        return chance_of(self.runs)

    def scores(self, series: object, column: object, measure: Measure = accuracy) -> Scores:
        """Return what the runs of a cell count as by an accuracy in percent."""
        runs = self.cell(series, column)
        own = self.chance if not any(run.state == "finished" for run in runs) else chance_of(runs)
        return accuracies(runs, measure, own, 100)

    def accuracy(
        self, series: object, column: object, measure: Measure, level: float
    ) -> Spread | None:
        """Return mean and interval of an accuracy in a cell, diverged runs as chance."""
        values = self.scores(series, column, measure).values.values()
        return spread(values, level, PERCENT) if values else None

    def spread(
        self,
        series: object,
        column: object,
        measure: Measure,
        level: float,
        within: Range | None = None,
    ) -> Spread | None:
        """Return mean and interval of a cell's finished runs, None where there is none."""
        values = self.values(series, column, measure)
        return spread(values, level, within) if values else None

    def head(self, column: object) -> str:
        return f"{short(self.by[1])} {typed(column)}" if len(self.by) > 1 else ONE_COLUMN

    def panel(self, column: object) -> str:
        """Return the title of a column's panel; empty where there is no second setting."""
        return self.head(column) if len(self.by) > 1 else ""

    def place(self, series: object, column: object) -> str:
        return ", ".join(filter(None, [typed(series), self.panel(column)]))

    def row(self, series: object, column: object) -> str:
        """Return the name of a cell, with how many of its runs diverged or are at chance."""
        runs = self.cell(series, column)
        words = Scores({}, *counts(runs), runs=ended(runs)).note
        return f"{self.place(series, column)} ({words})" if words else self.place(series, column)

    def table(self, cell: Callable[[object, object], str]) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of a table of what `cell(series, column)` says."""
        head = [short(self.by[0]), *map(self.head, self.columns)]
        return head, [[typed(s), *(cell(s, c) for c in self.columns)] for s in self.series]


def blocks(runs: Sequence[Run], by: Sequence[str]) -> list[Block]:
    """Return the blocks of the runs; raises UserError on settings that no run has."""
    if not 1 <= len(by) <= 2 or len(set(by)) < len(by):
        raise UserError(
            f"by=[{','.join(by)}]: one or two settings are needed, what is compared and over "
            "what, such as by=[norm,batch_size]"
        )
    apart = splitting(runs, by)
    return [
        _block(" ".join(f"{key}={typed(v)}" for key, v in zip(apart, values, strict=True)), own, by)
        for values, own in cells(runs, apart).items()
    ]


def splitting(runs: Sequence[Run], by: Sequence[str]) -> list[str]:
    """Return the settings in which runs of one cell differ, a group's name before its settings.

    And those of `GIVEN` in which runs of one column differ, but where that is what is compared.
    """
    asked = {_group(key) for key in by}
    apart = [
        key for key in APART if key not in asked and len({run.factors.get(key) for run in runs}) > 1
    ]
    given = {*GIVEN} - {_group(key) for key in by[:1]}
    for key in dict.fromkeys(key for run in runs for key in run.factors):
        if key == "seed" or key in (*by, *apart):
            continue
        same = by[1:] if _group(key) in given else by
        groups = cells(runs, [*same, *apart]).values()
        if any(len({run.factors.get(key) for run in cell}) > 1 for cell in groups):
            apart.append(key)
    return apart


def factors_of(runs: Sequence[Run]) -> list[str]:
    """Return the settings that tell the cells apart, by the shortest key that says the same."""
    keys = list(runs[0].factors)

    def values(key: str) -> list[object]:
        return [run.factors.get(key) for run in runs]

    found = []
    for key in splitting(runs, []):
        same = [each for each in keys if values(each) == values(key)]
        found.append(min(same, key=len, default=key))
    order = [key for key in FIRST if key in found]
    return [*order, *(key for key in found if key not in order)] or ["norm"]


def _group(key: str) -> str:
    return key.partition(".")[0]


def _block(title: str, runs: list[Run], by: Sequence[str]) -> Block:
    grouped: dict[tuple[object, object], list[Run]] = {}
    for (first, *second), own in cells(runs, by).items():
        grouped[first, second[0] if second else None] = own
    series = list(dict.fromkeys(first for first, _ in grouped))
    columns = [second[0] if second else None for second in cells(runs, by[1:])]
    return Block(title, by, series, columns, grouped)


def short(key: str) -> str:
    """Return a setting's key as a word: the last part, or for `source._target_` all of it."""
    return key.replace("_", " ") if "." not in key else key
