"""Who is best in each column, and by how much."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from normexp.analysis.compare import Pairs, ranked, tied
from normexp.analysis.grades import lead
from normexp.analysis.intervals import t_interval
from normexp.analysis.render.document import NONE, Table, interval, number
from normexp.analysis.report.blocks import Block, short
from normexp.kinds import typed


@dataclass(frozen=True)
class Lead:
    """The best mean of a column and the second; picked after looking, so the lead flatters."""

    column: object
    best: object
    second: object  # None where only one series has a result
    pairs: Pairs | None

    @property
    def words(self) -> str:
        """The lead in points with its interval, or in numbers where seeds are few."""
        if self.pairs is None:
            return NONE
        differences = self.pairs.differences
        if not differences:
            return "no seed in common"
        alone = t_interval(differences.values())
        if alone is None:
            return lead(differences)
        mean = fmean(differences.values())
        ahead = "ahead by " if mean >= 0 else ""  # the best mean may lose over common seeds
        return f"{ahead}{number(mean, 2)} points {interval(alone, 2)}"


def leads(block: Block) -> Iterator[Lead]:
    """Yield the lead of each column that has a best: one above chance, and not tied."""
    for column in block.columns:
        found = {series: block.scores(series, column) for series in block.series}
        best, second, *_ = [*ranked(found), None, None]
        if best is None or found[best].is_at_chance or len(tied(found, best)) > 1:
            continue
        pairs = Pairs.of(found[best], found[second], 0.0) if second is not None else None
        yield Lead(column, best, second, pairs)


def lead_table(block: Block, found: list[Lead], name: str) -> Table:
    """Return a row for each column of the block that has a best."""
    rows = [
        [
            typed(lead.column) if lead.column is not None else "all",
            typed(lead.best),
            typed(lead.second) if lead.second is not None else NONE,
            lead.words,
            block.scores(lead.best, lead.column).note or NONE,
        ]
        for lead in found
    ]
    over = short(block.by[1]) if len(block.by) > 1 else "over"
    caption = (
        "The best mean and the second, with the lead over the seeds that both have and its 95 % "
        "interval. Picked after looking, so a lead flatters; the comparisons decide. A column "
        "whose best are tied, or at chance, has no best."
    )
    head = [over, "best", "second", "lead, points", "diverged or at chance"]
    return Table(f"{name}best", caption, head, rows)
