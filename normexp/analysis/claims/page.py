"""The page of claims: a line a claim, and behind it what was compared and what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from normexp.analysis.claims.verdict import OUTCOMES, Finding, Verdict
from normexp.analysis.render.document import Document, Section, Table, number, p_value
from normexp.analysis.render.page import page
from normexp.analysis.render.plain import markdown
from normexp.analysis.statistics import ALPHA
from normexp.runs.files import write_atomic

WORDS = {
    "SUPPORTED": "every comparison came out as the claim says",
    "REFUTED": "every comparison came out otherwise",
    "DEPENDS": "some came out as the claim says and some otherwise; what tells them apart is named",
    "UNDECIDED": "something is still open; about how many seeds would decide it is said",
    "NOT RUN": "there are no runs; the command makes them",
}
HOW = (
    f"Runs are paired by seed. A difference counts at {100 * ALPHA:g} % by the exact sign-flip "
    "test; it is the same if two one-sided t tests show it smaller than the margin. Either p is "
    "Holm's over the comparisons of one claim, those that are not run included. Claims are "
    "questions of their own: over claims nothing is adjusted, so of a hundred claims with nothing "
    "behind them up to five may be told as supported or refuted."
)
HEAD = [
    "what",
    "first",
    "second",
    "seeds",
    "difference",
    "p",
    "equivalence p",
    "it is",
    "claimed",
]


def write_page(
    verdicts: Sequence[Verdict], commands: Mapping[str, str], origin: str, folder: Path
) -> Path:
    """Write `index.html` and `claims.md` into `folder`, and return the page's path."""
    counts = ((word, sum(v.word == word for v in verdicts)) for word in WORDS)
    document = Document(
        title="Claims",
        question="; ".join(f"{count} {word}" for word, count in counts if count),
        sections=[
            Section(
                "Verdicts",
                sections=[claim_section(v, commands[v.claim.name], folder) for v in verdicts],
            ),
            Section("How", words=[HOW, *(f"{word}: {means}." for word, means in WORDS.items())]),
        ],
        origin=origin,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "claims.md", markdown(document).encode())
    write_atomic(folder / "index.html", page(document).encode())
    return folder / "index.html"


def claim_section(verdict: Verdict, command: str, folder: Path) -> Section:
    """Return what the page says of a claim."""
    claim = verdict.claim
    runs = {row.path: row for finding in verdict.findings for row in finding.runs}
    diverged = [row.name for row in runs.values() if row.state == "diverged"]
    words = [f"How: {claim.how}", f"What literature suggests: {claim.prior}"]
    if diverged:
        words.append(f"{len(diverged)} of {len(runs)} runs diverged.")
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return Section(
        title=f"{claim.name} {verdict.word}: {claim.claim}{reason}",
        words=words,
        tables=[table(verdict)],
        code=command,
        links=[(row.name, os.path.relpath(path, folder)) for path, row in runs.items()],
        folded=True,
    )


def table(verdict: Verdict) -> Table:
    """Return a row for each comparison."""
    caption = "First less second, with the interval of 95 %. Margins: " + ", ".join(
        f"{name} {measure.margin * scale(measure.unit):g} {measure.unit}".strip()
        for name, measure in verdict.findings[0].comparison.measures.items()
    )
    rows = [list(line(finding)) for finding in verdict.findings]
    return Table(verdict.claim.name, caption, HEAD, rows)


def line(finding: Finding) -> tuple[str, ...]:
    """Return the cells of a comparison."""
    comparison, result = finding.comparison, finding.paired
    name = comparison.name or str(comparison)
    expect = " or ".join(OUTCOMES[each] for each in comparison.expect)
    if result is None:
        return name, "–", "–", "0", "–", "–", "–", OUTCOMES["missing"], expect
    unit = comparison.measures[str(comparison.first["measure"])].unit
    first, second = (
        shown(sum(values) / len(values), unit) for values in (finding.first, finding.second)
    )
    interval = f" [{shown(result.low, unit)}, {shown(result.high, unit)}]" * (result.n > 1)
    p_values = (p_value(finding.p), p_value(finding.p_equivalent))
    difference = f"{shown(result.mean, unit)}{interval}"
    outcome = OUTCOMES[finding.outcome]
    return name, first, second, str(result.n), difference, *p_values, outcome, expect


def shown(value: float | None, unit: str) -> str:
    """Return a number with as many digits as tell something."""
    if value is None:
        return number(None)
    value *= scale(unit)
    if unit == "%":
        return f"{number(value)} %"
    return f"{value:.3g}".replace("-", "−")


def scale(unit: str) -> float:
    """Return what a number is multiplied by to be in its unit."""
    return 100.0 if unit == "%" else 1.0
