"""A document as Markdown and as LaTeX tables; its cells and its runs as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from normexp.analysis.measures import (
    SEVERITIES,
    at_contrast,
    gap,
    parameters,
    seconds,
    speed,
    train_accuracy,
)
from normexp.analysis.render.document import Document, Section, Table
from normexp.analysis.report.blocks import Block, told
from normexp.analysis.report.comparisons import Comparison
from normexp.analysis.rows import Row, accuracy

TEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "“": "``",
    "”": "''",
}


def markdown(document: Document) -> str:
    """Return the document as Markdown, with figures as files in figures/."""
    parts = [f"# {document.title}", *([document.question] if document.question else [])]
    parts.append(document.origin)
    for section in document.sections:
        parts += _markdown(section, 2)
    return "\n\n".join(parts) + "\n"


def _markdown(section: Section, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {section.title}"
    yield from section.words
    if section.code:
        yield f"```\n{section.code}\n```"
    for figure in section.figures:
        yield f"![{figure.alternative}](figures/{figure.name}.svg)\n\n{figure.caption}"
    for table in section.tables:
        lines = [table.head, ["---"] * len(table.head), *table.rows]
        escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
        yield table.caption
        yield "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    for inner in section.sections:
        yield from _markdown(inner, depth + 1)
    if section.links:
        yield ", ".join(f"[{words}]({to})" for words, to in section.links)


def latex(tables: Iterable[Table]) -> str:
    """Return tables for a paper."""
    return "% \\usepackage{booktabs,graphicx}\n" + "\n".join(map(_latex, tables))


def _latex(table: Table) -> str:
    lines = [" & ".join(map(_tex, line)) + r" \\" for line in (table.head, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_tex(table.caption)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{'l' * len(table.head)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _tex(text: str) -> str:
    return re.sub("|".join(map(re.escape, TEX)), lambda match: TEX[match[0]], text)


def cells_csv(blocks: Sequence[Block], found: Sequence[Comparison], level: float) -> str:
    """Return a line for each cell: its runs, its accuracy, and how it compares."""
    compared = {(id(c.block), c.series, c.column): c for c in found}
    lines = []
    for block in blocks:
        for (series, column), rows in block.cells.items():
            spread = block.spread(series, column, accuracy, level)
            states = [row.state for row in rows]
            comparison = compared.get((id(block), series, column))
            line: dict[str, Any] = {
                "block": block.title,
                **dict(zip(block.by, map(told, (series, column)), strict=False)),
                "runs": len(rows),
                **{s: states.count(s) for s in ("finished", "diverged", "failed", "unfinished")},
                **({f"accuracy_{k}": v for k, v in asdict(spread).items()} if spread else {}),
            }
            if comparison is not None:
                line |= {"reference": told(comparison.reference), "verdict": comparison.verdict}
                line |= {"p_holm": comparison.p, "p_equivalent_holm": comparison.p_equivalent}
                result = comparison.paired
                line |= {f"difference_{k}": v for k, v in asdict(result).items()} if result else {}
            lines.append(line)
    return _csv(lines)


def runs_csv(rows: Sequence[Row]) -> str:
    """Return a line for each run: its settings where runs differ, and what it found."""
    keys = dict.fromkeys(key for row in rows for key in row.settings)
    varying = [key for key in keys if len({row.settings.get(key) for row in rows}) > 1]
    measures = {
        "accuracy": accuracy,
        **{f"accuracy_contrast_{severity}": at_contrast(severity) for severity in SEVERITIES},
        "train_accuracy": train_accuracy,
        "gap": gap,
        "seconds": seconds,
        "images_per_second": speed,
        "parameters": parameters,
    }
    return _csv(
        [
            {
                "run": row.name,
                "state": row.state,
                **{key: told(row.settings.get(key)) for key in varying},
                **{name: measure(row) for name, measure in measures.items()},
                "command": row.command,
            }
            for row in rows
        ]
    )


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    keys = list(dict.fromkeys(key for line in lines for key in line))
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
