"""Why a verdict is what it is, in words: what it depends on, or what it takes."""

from collections.abc import Sequence

from normexp.analysis.claims.finding import Finding
from normexp.analysis.power import MANY_SEEDS
from normexp.kinds import typed
from normexp.runs.names import several
from normexp.runs.text import plural

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
SHOWN = 3  # comparisons that a verdict's line tells of; the page has all


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
            sum(f.is_below and f.agrees is None for f in findings),
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
