"""The statistics of a report on anybody's numbers: a CSV file with a row for each run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from normexp.analysis.compare import Comparison, Family, Pairs, compare, not_worse
from normexp.analysis.intervals import Interval
from normexp.analysis.render.document import NONE, Document, Section, Table, p_value
from normexp.analysis.render.latex import latex
from normexp.analysis.render.markdown import markdown
from normexp.analysis.render.page import page
from normexp.analysis.report.comparisons import DEFAULT_REFERENCE
from normexp.analysis.scores import Scores
from normexp.analysis.spread import spread
from normexp.errors import UserError, suggestion
from normexp.runs.files import write_atomic
from normexp.runs.text import aligned


@dataclass(frozen=True)
class Columns:
    """The columns of a file, by their names."""

    compare: str | None
    seed: str | None
    metric: str | None

    def check(self, known: Sequence[str], file: Path) -> tuple[str, str, str]:
        """Return the names; raises UserError where one is not given, or the file lacks it."""
        there = f"{file} has {', '.join(known)}"
        found = []
        for key, name in vars(self).items():
            if name is None:
                raise UserError(f"{key} is not given; add {key}=<column>: {there}")
            if name not in known:
                hint = suggestion(name, known)
                raise UserError(f"{key}={name}: there is no such column; {hint} ({there})")
            found.append(name)
        compared, seed, metric = found
        return compared, seed, metric


def numbers_of(file: Path, columns: Columns) -> dict[str, Scores]:
    """Return the numbers of each thing that is compared, by seed.

    Raises UserError where a column is not there, a number is none, or two rows share a seed.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            compared, seed, metric = columns.check(reader.fieldnames or [], file)
            rows = list(reader)
    except FileNotFoundError as error:
        raise UserError(f"csv={file}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"csv={file}: it is not in UTF-8; save it as UTF-8") from error
    if not rows:
        raise UserError(f"csv={file}: it has no row below the names of its columns")
    # Pairs only need to be told apart, whatever a seed is called.
    seeds = {name: i for i, name in enumerate(dict.fromkeys(row[seed] for row in rows))}
    values: dict[str, dict[int, float]] = {}
    for line, row in enumerate(rows, start=2):
        own = values.setdefault(row[compared], {})
        if seeds[row[seed]] in own:
            raise UserError(
                f"{file}: a second row has {compared}={row[compared]} and {seed}={row[seed]}, in "
                f"line {line}; leave rows of one setting for each seed"
            )
        own[seeds[row[seed]]] = _number(row[metric], f"{file}, line {line}: {metric}")
    return {name: Scores(own, runs=len(own)) for name, own in values.items()}


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise UserError(
            f"{where}={text} is no finite number; write what such a run counts as, or leave the "
            "row out"
        )
    return value


def write_numbers_report(
    scores: Mapping[str, Scores],
    columns: Columns,
    reference: str | None,
    margin: float,
    level: float,
    *,
    origin: str,
    to: Path,
) -> list[str]:
    """Write the report into the folder `to`, and return its lines for the screen.

    Raises UserError where nothing is called `reference`.
    """
    if reference is not None and reference not in scores:
        raise UserError(f"reference={reference}: no row has it; there are: {', '.join(scores)}")
    first = DEFAULT_REFERENCE if DEFAULT_REFERENCE in scores else next(iter(scores))
    base = first if reference is None else reference
    others = [name for name in scores if name != base]
    pairs = [Pairs.of(scores[name], scores[base], margin, unit="") for name in others]
    found = dict(zip(others, compare(Family("the comparisons of this table"), pairs), strict=True))
    answer = [_sentence(columns, name, base, each) for name, each in found.items()]
    tables = [_means(scores, columns, margin, level), _compared(found, base, columns, margin)]
    section = Section("Comparison", tables=tables)
    title = f"{columns.metric} by {columns.compare}"
    document = Document(title, None, [section], origin, answer)
    to.mkdir(parents=True, exist_ok=True)
    files = {"report.md": markdown(document), "report.tex": latex(tables)}
    for name, text in {**files, "index.html": page(document)}.items():
        write_atomic(to / name, text.encode())
    shown = [line for each in tables for line in (aligned([each.head, *each.rows]), "")]
    return [*shown, *answer, str(to / "index.html")]


def _sentence(columns: Columns, name: str, base: str, each: Comparison) -> str:
    start = f"{columns.compare}={name}"
    graded = each.graded
    if graded is None or each.outcome in ("open", "missing"):
        return f"{start} against {base}: {each.text}."
    if each.outcome == "same":
        return f"{start} and {base} have the same {columns.metric}, within ±{each.pairs.margin:g}."
    side = "higher" if each.outcome == "more" else "lower"
    by = f"{abs(graded.mean):.3g} {side}"
    return f"{start}: {columns.metric} is {by} than with {base} ({graded.text()})."


def _means(scores: Mapping[str, Scores], columns: Columns, margin: float, level: float) -> Table:
    (best,) = not_worse([scores], margin)
    rows = []
    for name, own in scores.items():
        of = spread(own.values.values(), level)
        rows.append([name, str(of.n), f"{of.mean:.4g}", _ends(of.interval)])
    caption = (
        f"{columns.metric}: means over {columns.seed} with {level:.0%} intervals (Student's t). "
        "Bold: the highest, and all that are not decided to be lower, be it for few or noisy rows."
    )
    bold = frozenset((i, 2) for i, name in enumerate(scores) if name in best)
    head = [str(columns.compare), "rows", f"mean {columns.metric}", "interval"]
    return Table("means", caption, head, rows, bold)


def _compared(found: Mapping[str, Comparison], base: str, columns: Columns, margin: float) -> Table:
    rows = []
    for name, each in found.items():
        of = each.graded
        cells = [str(of.seeds), f"{of.mean:.3g}", _ends(of.interval)] if of else ["0", NONE, NONE]
        rows.append([f"{name} − {base}", *cells, each.text, p_value(of.p) if of else NONE])
    caption = (
        f"{columns.metric}, differences of rows of the same {columns.seed}. Decided: p ≤ 5 % over "
        "the comparisons of this table by a permutation test (joint sign flips), with "
        f"simultaneous intervals. The same: two one-sided t tests within ±{margin:g}. Likely: the "
        "95 % interval of the comparison alone excludes 0. The interval is that of the grade."
    )
    head = ["compared", "pairs", "difference", "interval", "grade", "p"]
    return Table("comparisons", caption, head, rows)


def _ends(interval: Interval | None) -> str:
    return interval.text(".4g").replace("-", "−") if interval else NONE
