"""Every series against a reference, column by column, and what may be said of each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from normexp.analysis.compare import Comparison, Family, Pairs, by_seed, compare
from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import NONE, Table, interval, number, p_value, plural
from normexp.analysis.report.blocks import Block
from normexp.analysis.statistics import seeds_for_family
from normexp.errors import UserError
from normexp.settings import typed

DEFAULT_REFERENCE = "batch"
OUTCOMES = {
    "more": "higher",
    "less": "lower",
    "same": "the same",
    "open": "undecided",
    "missing": "no pair of runs",
}
"""How a cell is to its reference, in words."""


@dataclass(frozen=True)
class CellComparison:
    """The accuracy of a cell less that of the reference in the same column, in points."""

    block: Block
    column: object
    series: object
    reference: object
    comparison: Comparison

    @property
    def verdict(self) -> str:
        """How the cell is to the reference, or why that is not known, in words."""
        if len(self.comparison.pairs.seeds) == 1:
            return "one seed cannot tell"
        return OUTCOMES[self.comparison.outcome]


def compare_cells(
    blocks: Sequence[Block], reference: str | None, margin: float, level: float
) -> list[CellComparison]:
    """Return the comparisons of every block; raises UserError if no run has the `reference`."""
    known = dict.fromkeys(typed(series) for block in blocks for series in block.series)
    if reference is not None and reference not in known:
        raise UserError(f"reference={reference}: no run has it; there are: {', '.join(known)}")
    places, pairs = [], []
    for block in blocks:
        base = _base(block, reference)
        for column in block.columns:
            for series in block.series:
                if series != base:
                    own, other = (by_seed(block.cell(s, column), accuracy) for s in (series, base))
                    places.append((block, column, series, base))
                    pairs.append(Pairs.of(own, other, margin))
    # A report counts the pairs that there are; it does not know which ones were wanted.
    family = Family("all comparisons of this report", sum(bool(each.seeds) for each in pairs))
    found = compare(family, pairs, level)
    return [CellComparison(*place, each) for place, each in zip(places, found, strict=True)]


def _base(block: Block, reference: str | None) -> object:
    wanted = DEFAULT_REFERENCE if reference is None else reference
    return next((s for s in block.series if typed(s) == wanted), block.series[0])


def table(found: Sequence[CellComparison], margin: float, level: float, name: str) -> Table:
    """Return a row for each comparison."""
    head = [
        *("compared", "seeds", "difference", f"{level:.0%} interval", "p", "p (Holm)"),
        *("equivalence p (Holm)", "verdict", "detectable", "seeds needed"),
    ]
    family = found[0].comparison.family
    caption = (
        "Test accuracy, differences in points between runs of the same seed. p: exact sign-flip "
        f"test; equivalence p: two t tests. Holm's method adjusts both for {family.name}. The "
        f"same: by less than ±{margin:g} points. Detectable: the smallest difference that so many "
        "seeds show at 5 %, four times in five. Seeds needed: to show this one so."
    )
    return Table(name, caption, head, [_line(each) for each in found])


def _line(each: CellComparison) -> list[str]:
    where = f", {each.block.head(each.column)}" if each.column is not None else ""
    what = f"{typed(each.series)} − {typed(each.reference)}{where}"
    comparison, result = each.comparison, each.comparison.paired
    if result is None:
        return [what, "0", *[NONE] * 5, each.verdict, NONE, NONE]
    needed = seeds_for_family(comparison.family.size)
    return [
        what,
        str(result.n),
        number(result.mean, 2),
        interval(result.low, result.high, 2) or NONE,
        p_value(result.p),
        p_value(comparison.p),
        p_value(comparison.p_equivalent),
        each.verdict,
        number(result.detectable, 2),
        f"{max(needed, result.seeds_needed):,}" if result.seeds_needed else NONE,
    ]


def words(found: Sequence[CellComparison]) -> list[str]:
    """Return what the comparisons come to, and what keeps them from saying more."""
    seeds = max((len(each.comparison.pairs.seeds) for each in found), default=0)
    if not seeds:
        return ["No two finished runs share a seed, so nothing can be compared."]
    counts = Counter(each.verdict for each in found)
    lines = [
        f"Of {plural(len(found), 'comparison')}: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        + "."
    ]
    size = found[0].comparison.family.size
    if seeds < (needed := seeds_for_family(size)):
        lines.append(
            f"With {plural(seeds, 'seed')} none of {plural(size, 'comparison')} can be "
            f"told from chance: the smallest p of n seeds is 2/2ⁿ, and {needed} seeds would do. "
            "What is seen here is a hint, not a finding."
        )
    return lines
