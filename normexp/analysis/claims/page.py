"""The page of claims: a line a claim, and behind it what was compared and what was found."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from normexp.analysis.claims.finding import Finding
from normexp.analysis.claims.reasons import OUTCOMES, in_words
from normexp.analysis.claims.side import scale
from normexp.analysis.claims.verdict import Verdict
from normexp.analysis.intervals import ALPHA, Interval
from normexp.analysis.render.document import NONE, Document, Section, Table, number, p_value
from normexp.analysis.render.markdown import markdown
from normexp.analysis.render.page import page
from normexp.analysis.report.setup import rates_section, setup_table
from normexp.analysis.rows import Run
from normexp.analysis.setup import setup
from normexp.runs.files import write_atomic
from normexp.tuned import Tuned

WORDS = {
    "SUPPORTED": "every comparison came out as the claim says",
    "REFUTED": "no comparison came out as the claim says",
    "DEPENDS": "some came out as the claim says and some did not; what tells them apart is named",
    "OPEN": "something is still open; about how many seeds would decide it is said",
    "NOT RUN": "there are no runs; the command makes them",
}
HOW = (
    "Runs are paired by seed; a diverged run counts as chance where the measure is an accuracy; "
    "otherwise no comparison is drawn. The family is the comparisons of one claim. A difference is "
    f"decided at {100 * ALPHA:g} % by a permutation test (joint sign flips), or by anytime-valid t "
    "tests where seeds were added after a look; it is the same if two one-sided t tests show it "
    "smaller than the margin; likely if the 95 % interval of the comparison alone excludes 0. "
    "A claim has the weakest grade of its comparisons that have an answer; what holds by "
    "construction is exact, and what is of networks at the start measured. Claims are questions of "
    "their own: over claims nothing is adjusted, so of a hundred claims with nothing behind them "
    "up to five may be told as decided."
)
OWN_SETUP = ("learning rate", "seeds", "mixed cells")  # what of the set-up stands with each claim
HEAD = [
    *("what", "first", "second", "seeds", "difference", "grade", "p", "it is", "claimed"),
    "diverged or at chance",
]


def write_page(
    verdicts: Sequence[Verdict],
    commands: Mapping[str, str],
    origin: str,
    folder: Path,
    tuned: Sequence[Tuned] = (),
) -> Path:
    """Write `index.html` and `claims.md` into `folder`, and return the page's path."""
    rows = {row.path: row for v in verdicts for f in v.findings for row in f.rows}
    trained = [row for row in rows.values() if isinstance(row, Run)]
    counts = ((word, sum(v.word == word for v in verdicts)) for word in WORDS)
    document = Document(
        title="Claims",
        question="; ".join(f"{count} {word}" for word, count in counts if count),
        sections=[
            *(_setup(trained, tuned) if trained else []),
            Section(
                "Verdicts",
                sections=[
                    claim_section(v, commands[v.claim.name], folder, tuned) for v in verdicts
                ],
            ),
            Section("How", words=[HOW, *(f"{word}: {means}." for word, means in WORDS.items())]),
        ],
        origin=origin,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "claims.md", markdown(document).encode())
    write_atomic(folder / "index.html", page(document).encode())
    return folder / "index.html"


def _setup(runs: Sequence[Run], tuned: Sequence[Tuned]) -> list[Section]:
    lines = setup(runs, tuned)
    rates = rates_section(lines["learning rate"], runs, tuned)
    return [
        Section("What was trained", tables=[setup_table(lines)]),
        replace(rates, folded=True),
    ]


def claim_section(verdict: Verdict, command: str, folder: Path, tuned: Sequence[Tuned]) -> Section:
    claim = verdict.claim
    rows = {row.path: row for finding in verdict.findings for row in finding.rows}
    runs = [row for row in rows.values() if isinstance(row, Run)]
    diverged = sum(run.state == "diverged" for run in runs)
    words = [f"How: {claim.how}", f"What literature suggests: {claim.prior}", protocol(verdict)]
    if diverged:
        words.append(f"{diverged} of {len(runs)} runs diverged.")
    if runs:
        words += [
            f"{name}: {what}" for name, what in setup(runs, tuned).items() if name in OWN_SETUP
        ]
    reason = f" ({verdict.reason})" if verdict.reason else ""
    grade = f" ({verdict.grade})" if verdict.grade else ""
    return Section(
        title=f"{claim.name} {verdict.word}{grade}: {claim.claim}{reason}",
        words=words,
        tables=[table(verdict)],
        code=command,
        # Runs that ship have no folder.
        links=[
            (row.name, os.path.relpath(path, folder)) for path, row in rows.items() if path.exists()
        ],
        folded=True,
    )


def protocol(verdict: Verdict) -> str:
    """Return of what kind the claim is, which seeds judge it, and of which file it is."""
    claim = verdict.claim
    digest = f"judged by the file {claim.digest or 'without a digest'}"
    if claim.kind != "trained":
        kinds = {"algebra": "by construction, a self-test", "measured": "measured at the start"}
        return f"Kind: {kinds[claim.kind]}; {digest}."
    planned, judged = (set(seeds) for seeds in (claim.confirmation_seeds, verdict.seeds))
    more = f", and {seed_words(judged - planned)} more" if judged - planned else ""
    explored = seed_words(claim.exploration_seeds) or "none"
    return (
        f"Kind: trained; exploration seeds {explored}, confirmation seeds {seed_words(planned)}"
        f"{more}; {digest} of {claim.date}."
    )


def seed_words(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def table(verdict: Verdict) -> Table:
    claim = verdict.claim
    caption = "First less second, with the interval of the grade. Margins: " + ", ".join(
        f"{name} {measure.margin * scale(measure.unit):g} {measure.unit}".strip()
        for name, measure in claim.measures.items()
    )
    return Table(claim.name, caption, HEAD, [list(line(finding)) for finding in verdict.findings])


def line(finding: Finding) -> tuple[str, ...]:
    name, comparison = finding.planned.name, finding.comparison
    graded, pairs, outcome = comparison.graded, comparison.pairs, OUTCOMES[comparison.outcome]
    expect = in_words(finding.planned.expect)
    notes = "; ".join(
        f"{side}: {note}"
        for side, note in zip(("first", "second"), pairs.notes, strict=False)
        if note
    )
    last = (outcome, expect, notes or NONE)
    if graded is None:
        return name, NONE, NONE, "0", NONE, comparison.text, NONE, *last
    unit = finding.planned.first.measure.unit
    first, second = (shown(fmean(values), unit) for values in (pairs.first, pairs.second))
    difference = f"{shown(graded.mean, unit)} {ends(graded.interval, unit)}".strip()
    seeds, p = str(graded.seeds), p_value(graded.p)
    return name, first, second, seeds, difference, comparison.text, p, *last


def ends(interval: Interval | None, unit: str) -> str:
    """Return an interval with as many digits as tell something, empty where there is none."""
    if interval is None:
        return ""
    if unit == "%":
        return interval.text().replace("-", "−")
    return f"[{shown(interval.low, unit)}, {shown(interval.high, unit)}]"


def shown(value: float, unit: str) -> str:
    """Return a number with as many digits as tell something."""
    return f"{number(value)} %" if unit == "%" else f"{value:.3g}".replace("-", "−")
