"""Who is best in each column, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from normexp.analysis.compare import Pairs, by_seed, ranked
from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import NONE, Table, interval, number
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.statistics import Paired
from normexp.settings import typed


@dataclass(frozen=True)
class Lead:
    """The best mean of a column and the second; picked after looking, so the lead flatters."""

    block: Block
    column: object
    best: object
    mean: float
    """Of the best, in percent."""
    second: object
    """None where only one series has a result."""
    paired: Paired | None
    """The best less the second; None where no seed has both."""

    @property
    def words(self) -> str:
        """The lead in points with its interval, or why there is none."""
        if self.paired is None:
            return "no seed in common" if self.second is not None else NONE
        return f"{number(self.paired.mean, 2)} {interval(self.paired.low, self.paired.high, 2)}"

    def __str__(self) -> str:
        where = ", ".join(filter(None, [self.block.title, self.block.panel(self.column)]))
        at = f" at {where}" if where else ""
        best = f"Best{at}: {typed(self.best)}, {number(self.mean)} %"
        if self.paired is None:
            return f"{best}."
        one_seed = " (one seed)" if self.paired.n == 1 else ""
        return f"{best}, {self.words.strip()} points ahead of {typed(self.second)}{one_seed}."


def leads(block: Block, margin: float, level: float) -> Iterator[Lead]:
    """Yield the lead of each column that has a result."""
    for column in block.columns:
        found = {series: by_seed(block.cell(series, column), accuracy) for series in block.series}
        best, second, *_ = [*ranked({s: [*own.values()] for s, own in found.items()}), None, None]
        if best is None:
            continue
        result = None
        if second is not None:
            result = Pairs.of(found[best], found[second], margin).tested(level)
        yield Lead(block, column, best, fmean(found[best].values()), second, result)


def lead_table(block: Block, found: list[Lead], level: float, name: str) -> Table:
    """Return a row for each column of the block."""
    rows = [
        [
            typed(lead.column) if lead.column is not None else "all",
            typed(lead.best),
            typed(lead.second) if lead.second is not None else NONE,
            lead.words,
        ]
        for lead in found
    ]
    over = short(block.by[1]) if len(block.by) > 1 else "over"
    caption = (
        f"The best mean and the second, with the lead over the seeds that both have ({level:.0%} "
        "interval). Picked after looking, so a lead flatters; the comparisons decide."
    )
    return Table(f"{name}best", caption, [over, "best", "second", "lead, points"], rows)
