"""The verdict on a claim, from runs paired by seed.

The family of tests is the comparisons of one claim, those that have not been run included. Holm's
method adjusts the p-values of their differences, and those of their equivalences. Claims are
questions of their own: there is no adjustment over claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

from normexp.analysis.claims.claim import Claim, Comparison, Measure, Selection, selected
from normexp.analysis.rows import Row, cells, pairs
from normexp.analysis.statistics import ALPHA, Paired, holm, paired, seeds_for_family

OUTCOMES = {
    "more": "more",
    "less": "less",
    "same": "the same",
    "open": "open",
    "missing": "not run",
}
"""What a comparison came out as, in words."""
VALIDATION = Measure("validation", "history.-1.val_accuracy", margin=0, diverged=0)
MANY_SEEDS = 1000
Z_EQUIVALENCE = 1.645 + 0.842
"""Normal quantiles of a one-sided test at 5 % that finds an equivalence four times in five."""


@dataclass(frozen=True)
class Finding:
    """What the runs say to one comparison."""

    comparison: Comparison
    first: Sequence[float]
    """By seed, like `second`; empty where no seed has both."""
    second: Sequence[float]
    paired: Paired | None
    p: float
    """Adjusted, like `p_equivalent`, over the comparisons of the claim."""
    p_equivalent: float
    runs: Sequence[Row]
    """Those that were selected."""

    @property
    def outcome(self) -> str:
        """`more`, `less`, `same` (by less than the margin), `open` or `missing`."""
        if self.paired is None:
            return "missing"
        if self.p_equivalent <= ALPHA:
            return "same"
        if self.p <= ALPHA:
            return "more" if self.paired.mean > 0 else "less"
        return "open"

    @property
    def agrees(self) -> bool | None:
        """Whether it is as the claim says; None where that is open."""
        if self.outcome in ("open", "missing"):
            return None
        return self.outcome in self.comparison.expect


@dataclass(frozen=True)
class Verdict:
    """What the runs say to a claim."""

    claim: Claim
    word: str
    """SUPPORTED, REFUTED, DEPENDS, UNDECIDED or NOT RUN."""
    reason: str
    """On what it depends, or what is missing; empty where nothing is to be said."""
    findings: tuple[Finding, ...]


def judge(claim: Claim, rows: Sequence[Row]) -> Verdict:
    """Return the verdict of `rows` on `claim`; raises UserError where runs cannot be told apart."""
    values = [both_sides(comparison, rows) for comparison in claim.comparisons]
    results = [
        paired(*both, comparison.margin) if both[0] else None
        for comparison, both in zip(claim.comparisons, values, strict=True)
    ]
    findings = tuple(
        Finding(comparison, *both, result, p, p_equivalent, runs_of(comparison, rows))
        for comparison, both, result, p, p_equivalent in zip(
            claim.comparisons,
            values,
            results,
            holm([result.p if result else 1.0 for result in results]),
            holm([result.p_equivalent if result else 1.0 for result in results]),
            strict=True,
        )
    )
    return Verdict(claim, *word_and_reason(findings), findings)


def both_sides(comparison: Comparison, rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return the values of both sides, paired by seed."""
    first = values_by_seed(rows, comparison.first, comparison)
    if not isinstance(comparison.second, Mapping):
        return list(first.values()), [float(comparison.second)] * len(first)
    second = values_by_seed(rows, comparison.second, comparison)
    seeds = sorted(first.keys() & second.keys())
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds]


def runs_of(comparison: Comparison, rows: Sequence[Row]) -> list[Row]:
    """Return the runs of both sides, those that are taken off included."""
    sides = [side for side in (comparison.first, comparison.second) if isinstance(side, Mapping)]
    wanted = sides + [{**side, **comparison.minus} for side in sides if comparison.minus]
    found = {id(row): row for selection in wanted for row in selected(rows, selection)}
    return list(found.values())


def values_by_seed(
    rows: Sequence[Row], selection: Selection, comparison: Comparison
) -> dict[int, float]:
    """Return the measure of the selected runs, less that of those which differ by `minus`."""

    def measured(selection: Selection) -> dict[int, float]:
        measure = comparison.measures[selection["measure"]]
        chosen = [row for row in selected(rows, selection) if measure(row) is not None]
        if comparison.tuned and chosen:
            chosen = max(cells(chosen, [comparison.tuned]).values(), key=validation_accuracy)
        values, _ = pairs(chosen, chosen, measure)
        return dict(zip(sorted(row.seed for row in chosen), values, strict=True))

    values = measured(selection)
    if not comparison.minus:
        return values
    less = measured({**selection, **comparison.minus})
    return {seed: values[seed] - less[seed] for seed in values.keys() & less.keys()}


def validation_accuracy(rows: Sequence[Row]) -> float:
    """Return the mean accuracy on validation images at the end; runs that diverged have 0."""
    return fmean(VALIDATION(row) or 0.0 for row in rows)


def word_and_reason(findings: Sequence[Finding]) -> tuple[str, str]:
    """Return the verdict, and on what it depends or what it takes."""
    if all(finding.outcome == "missing" for finding in findings):
        return "NOT RUN", ""
    agrees = [finding.agrees for finding in findings]
    if True in agrees and False in agrees:
        return "DEPENDS", on_what(findings)
    if None not in agrees:
        if agrees[0]:
            return "SUPPORTED", ""
        seen = dict.fromkeys(OUTCOMES[finding.outcome] for finding in findings)
        return "REFUTED", f"it is {' or '.join(seen)}"
    return "UNDECIDED", what_it_takes(findings)


def on_what(findings: Sequence[Finding]) -> str:
    """Return the factor that separates what agrees from what does not, and its values."""
    decided = [finding for finding in findings if finding.agrees is not None]
    factors = dict.fromkeys(key for finding in findings for key in finding.comparison.factors)
    for factor in factors:
        of_factor = [f for f in decided if factor in f.comparison.factors]
        sides = {
            agrees: dict.fromkeys(
                str(f.comparison.factors[factor]) for f in of_factor if f.agrees is agrees
            )
            for agrees in (True, False)
        }
        if all(sides.values()) and not sides[True].keys() & sides[False].keys():
            return f"{factor}: {', '.join(sides[True])} as claimed, {', '.join(sides[False])} not"
    others = [f.comparison.name for f in decided if not f.agrees]
    agreeing = len(decided) - len(others)
    return f"{agreeing} of {len(findings)} comparisons as claimed, but not {'; '.join(others)}"


def what_it_takes(findings: Sequence[Finding]) -> str:
    """Return how many seeds would decide what is open, and what has not been run."""
    missing = sum(finding.outcome == "missing" for finding in findings)
    parts = [f"{missing} of {len(findings)} comparisons have no runs"] if missing else []
    results = [f.paired for f in findings if f.outcome == "open" and f.paired]
    if results:
        margins = [f.comparison.margin for f in findings if f.outcome == "open"]
        needed = [seeds_to_decide(*each) for each in zip(results, margins, strict=True)]
        seeds = max(seeds_for_family(len(findings)), *needed)
        have = min(result.n for result in results)
        words = f"about {seeds}" if seeds < MANY_SEEDS else f"more than {MANY_SEEDS}"
        parts.append(f"{words} seeds would decide it, {have} are there")
    return "; ".join(parts)


def seeds_to_decide(result: Paired, margin: float) -> int:
    """Return how many seeds would show a difference, or that there is none, if this is its size."""
    if result.sd is None:
        return 0  # one seed says nothing of how many more
    room = margin - abs(result.mean)
    same = ceil((Z_EQUIVALENCE * result.sd / room) ** 2) + 1 if room > 0 else MANY_SEEDS
    return min(same, result.seeds_needed or MANY_SEEDS, MANY_SEEDS)
