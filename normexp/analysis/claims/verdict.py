"""The verdict on a claim, from runs paired by seed, and how sure it is.

The family of tests is the comparisons of one claim; those of networks that were not trained are a
family of their own. Claims are questions of their own: there is no adjustment over claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.finding import Finding
from normexp.analysis.claims.planned import planned
from normexp.analysis.claims.reasons import on_what, otherwise, what_it_takes
from normexp.analysis.compare import Comparison, Family, compare, weakest
from normexp.analysis.grades import Grade
from normexp.analysis.rows import MeasuredNetwork, Row, Run, design_of
from normexp.runs.runtime import Design

GRADES = {"algebra": "exact", "measured": "measured"}
"""In the place of a grade, where nothing was trained."""


@dataclass(frozen=True)
class Verdict:
    """What the runs say to a claim."""

    claim: Claim
    word: str  # SUPPORTED, REFUTED, DEPENDS, OPEN or NOT RUN
    grade: str  # the weakest of its comparisons, or `exact` or `measured`; empty while it is open
    reason: str  # on what it depends, or what is missing; empty where nothing is to be said
    findings: tuple[Finding, ...]

    @property
    def short(self) -> list[Finding]:
        """The comparisons of which more seeds may say more."""
        return [finding for finding in self.findings if finding.comparison.is_undecided]

    @property
    def seeds(self) -> tuple[int, ...]:
        rows = (row for finding in self.findings for row in finding.rows)
        return tuple(sorted({row.seed for row in rows if isinstance(row, Run)}))


def judge_claim(claim: Claim, rows: Sequence[Row]) -> Verdict:
    """Return the verdict of `rows` on `claim`; raises UserError where runs cannot be told apart."""
    rows = [row for row in rows if not _is_exploration(claim, row)]
    asked = planned(claim)
    found: dict[int, Comparison] = {}
    for is_measured in (False, True):
        own = [i for i, each in enumerate(asked) if each.is_measured == is_measured]
        compared = (row for i in own for side in asked[i].by_side(rows) for row in side)
        design = Design.PLANNED if is_measured else design_of(compared)
        family = Family("the comparisons of one claim", design)
        found |= zip(own, compare(family, [asked[i].pairs(rows) for i in own]), strict=True)
    findings = tuple(Finding(each, found[i], each.by_side(rows)) for i, each in enumerate(asked))
    word, reason = word_and_reason(findings)
    return Verdict(claim, word, _grade(claim, word, findings), reason, findings)


def _is_exploration(claim: Claim, row: Row) -> bool:
    return not isinstance(row, MeasuredNetwork) and row.seed in claim.exploration_seeds


def _grade(claim: Claim, word: str, findings: Sequence[Finding]) -> str:
    if word in ("OPEN", "NOT RUN"):
        return ""
    if claim.kind in GRADES:
        return GRADES[claim.kind]
    answered = [f for f in findings if f.agrees is not None and not f.planned.is_measured]
    if not answered:
        return GRADES["measured"]
    found = weakest(f.comparison for f in answered)
    # Some comparisons the same, and others different: that it depends is decided.
    return str(Grade.DECIDED if word == "DEPENDS" and found is Grade.SAME else found)


def word_and_reason(findings: Sequence[Finding]) -> tuple[str, str]:
    """Return the verdict, and on what it depends or what it takes."""
    if not any(finding.is_run for finding in findings):
        return "NOT RUN", ""
    agrees = [finding.agrees for finding in findings]
    if True in agrees and False in agrees:
        return "DEPENDS", on_what(findings)
    if None not in agrees:
        if agrees[0]:
            return "SUPPORTED", ""
        return "REFUTED", otherwise(findings)
    return "OPEN", what_it_takes(findings)
