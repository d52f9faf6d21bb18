"""The page of claims: a line a claim, and behind it what was compared and what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from normexp.analysis.claims.verdict import OUTCOMES, Finding, Verdict
from normexp.analysis.render.document import Document, Section, Table, number, p_value
from normexp.analysis.render.markdown import markdown
from normexp.analysis.render.page import page
from normexp.analysis.rows import Run
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
    rows = {row.path: row for finding in verdict.findings for row in finding.rows}
    diverged = sum(isinstance(row, Run) and row.state == "diverged" for row in rows.values())
    words = [f"How: {claim.how}", f"What literature suggests: {claim.prior}"]
    if diverged:
        words.append(f"{diverged} of {len(rows)} runs diverged.")
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return Section(
        title=f"{claim.name} {verdict.word}: {claim.claim}{reason}",
        words=words,
        tables=[table(verdict)],
        code=command,
        links=[(row.name, os.path.relpath(path, folder)) for path, row in rows.items()],
        folded=True,
    )


def table(verdict: Verdict) -> Table:
    """Return a row for each comparison."""
    claim = verdict.claim
    caption = "First less second, with the interval of 95 %. Margins: " + ", ".join(
        f"{name} {measure.margin * scale(measure.unit):g} {measure.unit}".strip()
        for name, measure in claim.measures.items()
    )
    return Table(claim.name, caption, HEAD, [list(line(finding)) for finding in verdict.findings])


def line(finding: Finding) -> tuple[str, ...]:
    """Return the cells of a comparison."""
    name, comparison = finding.planned.name, finding.comparison
    result, pairs, outcome = comparison.paired, comparison.pairs, OUTCOMES[comparison.outcome]
    expect = " or ".join(OUTCOMES[each] for each in finding.planned.expect)
    if result is None:
        return name, "–", "–", "0", "–", "–", "–", outcome, expect
    unit = finding.planned.first.measure.unit
    first, second = (shown(fmean(values), unit) for values in (pairs.first, pairs.second))
    interval = f" [{shown(result.low, unit)}, {shown(result.high, unit)}]" * (result.n > 1)
    difference = f"{shown(result.mean, unit)}{interval}"
    p_values = (p_value(comparison.p), p_value(comparison.p_equivalent))
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
