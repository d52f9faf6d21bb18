"""The verdict on a claim, from runs paired by seed, and how sure it is.

The family of tests is the comparisons of one claim; those of networks that were not trained are a
family of their own. Claims are questions of their own: there is no adjustment over claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.planned import Planned, planned
from normexp.analysis.compare import Comparison, Family, compare, weakest
from normexp.analysis.grades import Grade
from normexp.analysis.power import MANY_SEEDS
from normexp.analysis.render.document import plural
from normexp.analysis.rows import MeasuredNetwork, Row, Run, design_of
from normexp.kinds import typed
from normexp.runs.names import several
from normexp.runs.runtime import Design

OUTCOMES = {
    "more": "more",
    "less": "less",
    "same": "the same",
    "open": "open",
    "chance": "not above chance",
    "not drawn": "not drawn",
    "missing": "no pair",
}
"""What a comparison came out as, in words."""
GRADES = {"algebra": "exact", "measured": "measured"}
"""In the place of a grade, where nothing was trained."""
SHOWN = 3  # comparisons that a verdict's line tells of; the page has all
WITHOUT_ANSWER = ("open", "chance", "not drawn", "missing")


@dataclass(frozen=True)
class Finding:
    """What the runs say to one comparison of a claim."""

    planned: Planned
    comparison: Comparison
    by_side: Sequence[Sequence[Row]]  # those that were selected

    @property
    def rows(self) -> list[Row]:
        return list({row.path / row.name: row for own in self.by_side for row in own}.values())

    @property
    def is_run(self) -> bool:
        return all(self.by_side)

    @property
    def is_of_norms(self) -> bool:
        """Whether the test accuracies of two norms are compared."""
        norms = [{row.factors.get("norm") for row in own} for own in self.by_side]
        return self.planned.first.measure.value == "test.accuracy" and all(
            one.isdisjoint(other) for one, other in combinations(norms, 2)
        )

    @property
    def agrees(self) -> bool | None:
        """Whether it is as the claim says; None where that is open.

        A difference of the claimed sign that is below the margin does not matter, but the two are
        not shown to be the same.
        """
        outcome, expect = self.comparison.outcome, self.planned.expect
        if outcome in WITHOUT_ANSWER or (is_below(self) and {outcome, "same"} & {*expect}):
            return None
        return outcome in expect


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
        return [finding for finding in self.findings if finding.comparison.goes_on]

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
        design = Design.PLANNED if is_measured else design_of(rows)
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


def is_below(finding: Finding) -> bool:
    """Whether a difference is shown that is smaller than what matters."""
    graded = finding.comparison.graded
    return graded is not None and graded.is_decided_below


def otherwise(findings: Sequence[Finding]) -> str:
    """Return how the comparisons came out, and what was claimed of them."""
    came_out: dict[str, dict[str, None]] = {}
    claimed = {}
    for finding in findings:
        label = quoted(str(finding.planned.factors.get("comparison", "")))
        came_out.setdefault(label, {})[OUTCOMES[finding.comparison.outcome]] = None
        claimed[label] = in_words(finding.planned.expect)
    found = {label: f"{' or '.join(own)}, not {claimed[label]}" for label, own in came_out.items()}
    is_one = len(found) == 1
    return "; ".join(f"it is {w}" if is_one else f"{label}: {w}" for label, w in found.items())


def in_words(expect: Sequence[str]) -> str:
    return " or ".join(OUTCOMES[each] for each in expect)


def on_what(findings: Sequence[Finding]) -> str:
    """Return the factor that separates what agrees from what does not, and its values."""
    decided = [finding for finding in findings if finding.agrees is not None]
    without = len(findings) - len(decided)
    unanswered = f"; {without} of {len(findings)} without an answer" if without else ""
    for factor in decided[0].planned.factors:
        if not all(factor in finding.planned.factors for finding in decided):
            continue
        sides = {
            agrees: dict.fromkeys(
                typed(f.planned.factors[factor]) for f in decided if f.agrees is agrees
            )
            for agrees in (True, False)
        }
        if all(sides.values()) and not sides[True].keys() & sides[False].keys():
            if factor == "comparison":
                sides = {agrees: dict.fromkeys(map(quoted, own)) for agrees, own in sides.items()}
            words = {agrees: ", ".join(own) for agrees, own in sides.items()}
            of = "" if factor == "comparison" else f" for {factor}"
            return f"as claimed{of}: {words[True]}; not as claimed{of}: {words[False]}{unanswered}"
    others = [quoted(f.planned.name) for f in decided if not f.agrees]
    agreeing = len(decided) - len(others)
    counted = f"{agreeing} of {len(findings)} comparisons are as claimed"
    return f"{counted}; not as claimed: {several(others, SHOWN)}{unanswered}"


def quoted(name: str) -> str:
    """Return the name of a comparison so that it does not read on into the sentence around it."""
    return f"“{name}”"


def what_it_takes(findings: Sequence[Finding]) -> str:
    """Return the answers there are, what would decide what is open, and why the rest has none."""
    parts = []
    for agrees, words in ((True, "as claimed"), (False, "not as claimed")):
        if names := [quoted(f.planned.name) for f in findings if f.agrees is agrees]:
            parts.append(f"{words}: {several(names, SHOWN)}")
    missing = [f.is_run for f in findings if f.comparison.outcome == "missing"]
    for count, words in (
        (missing.count(False), "there are no runs"),
        (missing.count(True), "no seed has both values, for want of a finished run or its lens,"),
        (sum(f.comparison.outcome == "chance" for f in findings), "nothing is above chance"),
        (
            sum(is_below(f) and f.agrees is None for f in findings),
            "a difference is decided, but below the margin",
        ),
    ):
        if count:
            parts.append(f"{words} in {count} of {plural(len(findings), 'comparison')}")
    not_drawn = [
        f"{quoted(f.planned.name)}: {', '.join(filter(None, f.comparison.pairs.notes))}"
        for f in findings
        if f.comparison.outcome == "not drawn"
    ]
    if not_drawn:
        number = f"{len(not_drawn)} of {plural(len(findings), 'comparison')}"
        parts.append(f"no conclusion from {number} ({first_few(not_drawn)})")
    open_ = [f for f in findings if f.comparison.outcome == "open"]
    if open_:
        seeds = max(f.comparison.seeds_needed for f in open_)
        have = min(len(f.comparison.pairs.seeds) for f in open_)
        words = f"about {seeds}" if seeds < MANY_SEEDS else f"more than {MANY_SEEDS}"
        are = "is" if have == 1 else "are"
        parts.append(f"{words} seeds would decide it, {have} {are} there ({leads(open_)})")
    return "; ".join(parts)


def leads(open_: Sequence[Finding]) -> str:
    """Return of the open comparisons what is claimed, and how they stand so far."""
    return first_few(
        [
            f"{quoted(f.planned.name)}, claimed to be {in_words(f.planned.expect)}: "
            f"{f.planned.first_side} is {graded.lead}"
            for f in open_
            if (graded := f.comparison.graded)
        ]
    )


def first_few(sentences: Sequence[str]) -> str:
    return "; ".join(sentences[:SHOWN]) + "; …" * (len(sentences) > SHOWN)
