"""Every series against a reference, column by column, and what may be said of each pair.

The family for Holm's method is all comparisons of a report. Two statements are tested: that a
pair differs, and that it differs by less than the margin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from normexp.analysis.render.document import Table, interval, number, p_value, plural
from normexp.analysis.report.blocks import Block, told
from normexp.analysis.rows import accuracy, pairs
from normexp.analysis.statistics import ALPHA, Paired, holm, paired, seeds_for_family
from normexp.errors import UserError

DEFAULT_REFERENCE = "batch"


@dataclass(frozen=True)
class Comparison:
    """The accuracy of a cell less that of the reference in the same column, in points."""

    block: Block
    column: Any
    series: Any
    reference: Any
    paired: Paired | None
    """None where no seed has both."""
    p: float
    """That there is no difference, adjusted by Holm's method over the family."""
    p_equivalent: float
    """That the difference is as large as the margin, adjusted likewise."""
    family: int
    """How many pairs the report compares."""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `the same`, `undecided`, or why there is none."""
        if self.paired is None:
            return "no pair of runs"
        if self.paired.n == 1:
            return "one seed cannot tell"
        if self.p_equivalent <= ALPHA:
            return "the same"
        if self.p <= ALPHA:
            return "higher" if self.paired.mean > 0 else "lower"
        return "undecided"


def compare(
    blocks: Sequence[Block], reference: str | None, margin: float, level: float
) -> list[Comparison]:
    """Return the comparisons of every block; raises UserError if no run has the `reference`."""
    known = dict.fromkeys(told(series) for block in blocks for series in block.series)
    if reference is not None and reference not in known:
        raise UserError(f"reference={reference}: no run has it; there are: {', '.join(known)}")
    raw = []
    for block in blocks:
        base = _base(block, reference)
        for column in block.columns:
            for series in block.series:
                if series != base:
                    own, other = (block.cells.get((s, column), []) for s in (series, base))
                    first, second = pairs(own, other, accuracy)
                    result = paired(first, second, margin, level) if first else None
                    raw.append((block, column, series, base, result))
    made = [result for *_, result in raw if result is not None]
    p = iter(holm([result.p for result in made]))
    p_equivalent = iter(holm([result.p_equivalent for result in made]))
    return [
        Comparison(
            *each, *((1.0, 1.0) if each[-1] is None else (next(p), next(p_equivalent))), len(made)
        )
        for each in raw
    ]


def _base(block: Block, reference: str | None) -> Any:
    wanted = DEFAULT_REFERENCE if reference is None else reference
    return next((s for s in block.series if told(s) == wanted), block.series[0])


def table(comparisons: Sequence[Comparison], margin: float, level: float, name: str) -> Table:
    """Return a row for each comparison."""
    head = [
        *("compared", "seeds", "difference", f"{level:.0%} interval", "p", "p (Holm)"),
        *("equivalence p (Holm)", "verdict", "detectable", "seeds needed"),
    ]
    needed = seeds_for_family(max(1, comparisons[0].family))
    rows = []
    for each in comparisons:
        base = each.reference
        where = each.block.head(each.column) if each.column is not None else ""
        what = f"{told(each.series)} − {told(base)}" + (f", {where}" if where else "")
        result = each.paired
        if result is None:
            rows.append([what, "0", *["–"] * 5, each.verdict, "–", "–"])
            continue
        rows.append(
            [
                what,
                str(result.n),
                number(result.mean, 2),
                interval(result.low, result.high, 2) or "–",
                p_value(result.p),
                p_value(each.p),
                p_value(each.p_equivalent),
                each.verdict,
                number(result.detectable, 2),
                f"{max(needed, result.seeds_needed):,}" if result.seeds_needed else "–",
            ]
        )
    caption = (
        "Test accuracy, differences in points between runs of the same seed. p: exact sign-flip "
        "test; equivalence p: two t tests. Holm's method adjusts both for all comparisons of this "
        f"report. The same: by less than ±{margin:g} points. Detectable: the smallest difference "
        "that so many seeds show at 5 %, four times in five. Seeds needed: to show this one so."
    )
    return Table(name, caption, head, rows)


def words(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what the comparisons come to, and what keeps them from saying more."""
    told_of = [each for each in comparisons if each.paired is not None]
    if not told_of:
        return ["No two finished runs share a seed, so nothing can be compared."]
    counts = Counter(each.verdict for each in comparisons)
    lines = [
        f"Of {plural(len(comparisons), 'comparison')}: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        + "."
    ]
    seeds = max(each.paired.n for each in told_of if each.paired)
    needed = seeds_for_family(told_of[0].family)
    if seeds < needed:
        lines.append(
            f"With {plural(seeds, 'seed')} none of {plural(len(told_of), 'comparison')} can be "
            f"told from chance: the smallest p of n seeds is 2/2ⁿ, and {needed} seeds would do. "
            "What is seen here is a hint, not a finding."
        )
    return lines
