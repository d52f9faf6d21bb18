"""The verdict on a claim, from runs paired by seed.

The family of tests is the comparisons of one claim, those that have not been run included. Claims
are questions of their own: there is no adjustment over claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.planned import Planned, planned
from normexp.analysis.compare import Comparison, Family, compare
from normexp.analysis.rows import Row
from normexp.analysis.statistics import Paired, seeds_for_family
from normexp.settings import typed

OUTCOMES = {
    "more": "more",
    "less": "less",
    "same": "the same",
    "open": "open",
    "missing": "not run",
}
"""What a comparison came out as, in words."""
MANY_SEEDS = 1000
Z_EQUIVALENCE = 1.645 + 0.842
"""Normal quantiles of a one-sided test at 5 % that finds an equivalence four times in five."""


@dataclass(frozen=True)
class Finding:
    """What the runs say to one comparison of a claim."""

    planned: Planned
    comparison: Comparison
    rows: Sequence[Row]
    """Those that were selected."""

    @property
    def agrees(self) -> bool | None:
        """Whether it is as the claim says; None where that is open."""
        outcome = self.comparison.outcome
        return None if outcome in ("open", "missing") else outcome in self.planned.expect


@dataclass(frozen=True)
class Verdict:
    """What the runs say to a claim."""

    claim: Claim
    word: str
    """SUPPORTED, REFUTED, DEPENDS, UNDECIDED or NOT RUN."""
    reason: str
    """On what it depends, or what is missing; empty where nothing is to be said."""
    findings: tuple[Finding, ...]


def judge_claim(claim: Claim, rows: Sequence[Row]) -> Verdict:
    """Return the verdict of `rows` on `claim`; raises UserError where runs cannot be told apart."""
    asked = planned(claim)
    family = Family("the comparisons of one claim", len(asked))
    compared = compare(family, [each.pairs(rows) for each in asked])
    findings = tuple(
        Finding(each, comparison, each.rows(rows))
        for each, comparison in zip(asked, compared, strict=True)
    )
    return Verdict(claim, *word_and_reason(findings), findings)


def word_and_reason(findings: Sequence[Finding]) -> tuple[str, str]:
    """Return the verdict, and on what it depends or what it takes."""
    if all(finding.comparison.outcome == "missing" for finding in findings):
        return "NOT RUN", ""
    agrees = [finding.agrees for finding in findings]
    if True in agrees and False in agrees:
        return "DEPENDS", on_what(findings)
    if None not in agrees:
        if agrees[0]:
            return "SUPPORTED", ""
        seen = dict.fromkeys(OUTCOMES[finding.comparison.outcome] for finding in findings)
        return "REFUTED", f"it is {' or '.join(seen)}"
    return "UNDECIDED", what_it_takes(findings)


def on_what(findings: Sequence[Finding]) -> str:
    """Return the factor that separates what agrees from what does not, and its values."""
    decided = [finding for finding in findings if finding.agrees is not None]
    factors = dict.fromkeys(key for finding in findings for key in finding.planned.factors)
    for factor in factors:
        of_factor = [f for f in decided if factor in f.planned.factors]
        sides = {
            agrees: dict.fromkeys(
                typed(f.planned.factors[factor]) for f in of_factor if f.agrees is agrees
            )
            for agrees in (True, False)
        }
        if all(sides.values()) and not sides[True].keys() & sides[False].keys():
            return f"{factor}: {', '.join(sides[True])} as claimed, {', '.join(sides[False])} not"
    others = [f.planned.name for f in decided if not f.agrees]
    agreeing = len(decided) - len(others)
    return f"{agreeing} of {len(findings)} comparisons as claimed, but not {'; '.join(others)}"


def what_it_takes(findings: Sequence[Finding]) -> str:
    """Return how many seeds would decide what is open, and what has not been run."""
    compared = [finding.comparison for finding in findings]
    missing = sum(each.outcome == "missing" for each in compared)
    parts = [f"{missing} of {len(findings)} comparisons have no runs"] if missing else []
    results = [(c.paired, c.pairs.margin) for c in compared if c.outcome == "open" and c.paired]
    if results:
        needed = [seeds_to_decide(*each) for each in results]
        seeds = max(seeds_for_family(len(findings)), *needed)
        have = min(result.n for result, _ in results)
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
