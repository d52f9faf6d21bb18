"""Who is best in each column, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from normexp.analysis.render.document import Table, interval, number
from normexp.analysis.report.blocks import Block, short, told
from normexp.analysis.rows import accuracy, pairs
from normexp.analysis.statistics import Paired, paired


@dataclass(frozen=True)
class Lead:
    """The best mean of a column and the second; picked after looking, so the lead flatters."""

    block: Block
    column: Any
    best: Any
    mean: float
    """Of the best, in percent."""
    second: Any
    """None where only one series has a result."""
    paired: Paired | None
    """The best less the second; None where no seed has both."""

    @property
    def told(self) -> str:
        """The lead in points with its interval, or why there is none."""
        if self.paired is None:
            return "no seed in common" if self.second is not None else "–"
        return f"{number(self.paired.mean, 2)} {interval(self.paired.low, self.paired.high, 2)}"

    def __str__(self) -> str:
        where = [self.block.title] if self.block.title else []
        where += [self.block.head(self.column)] if self.column is not None else []
        at = f" at {', '.join(where)}" if where else ""
        best = f"Best{at}: {told(self.best)}, {number(self.mean)} %"
        if self.paired is None:
            return f"{best}."
        one_seed = " (one seed)" if self.paired.n == 1 else ""
        return f"{best}, {self.told.strip()} points ahead of {told(self.second)}{one_seed}."


def leads(block: Block, margin: float, level: float) -> Iterator[Lead]:
    """Yield the lead of each column that has a result."""
    for column in block.columns:
        means = {
            series: sum(values) / len(values)
            for series in block.series
            if (values := block.values(series, column, accuracy))
        }
        ranked = sorted(means, key=lambda series: -means[series])
        if not ranked:
            continue
        result, second = None, ranked[1] if len(ranked) > 1 else None
        if second is not None:
            of_best, of_second = (block.cells[series, column] for series in ranked[:2])
            first, other = pairs(of_best, of_second, accuracy)
            result = paired(first, other, margin, level) if first else None
        yield Lead(block, column, ranked[0], means[ranked[0]], second, result)


def lead_table(block: Block, found: list[Lead], level: float, name: str) -> Table:
    """Return a row for each column of the block."""
    rows = [
        [
            told(lead.column) if lead.column is not None else "all",
            told(lead.best),
            told(lead.second) if lead.second is not None else "–",
            lead.told,
        ]
        for lead in found
    ]
    over = short(block.by[1]) if len(block.by) > 1 else "over"
    caption = (
        f"The best mean and the second, with the lead over the seeds that both have ({level:.0%} "
        "interval). Picked after looking, so a lead flatters; the comparisons decide."
    )
    return Table(f"{name}best", caption, [over, "best", "second", "lead, points"], rows)
