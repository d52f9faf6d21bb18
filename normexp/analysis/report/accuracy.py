"""Test accuracy by series and column, who is best, and what is left as contrast goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normexp.analysis.measures import SEVERITIES, at_contrast
from normexp.analysis.render import figures
from normexp.analysis.render.document import Figure, Section, Table, number, plural, with_interval
from normexp.analysis.report import comparisons
from normexp.analysis.report.blocks import Block, short, told
from normexp.analysis.report.comparisons import Comparison
from normexp.analysis.report.leads import Lead, lead_table, leads
from normexp.analysis.rows import Row, accuracy

PERCENT = "test accuracy, %"


def accuracy_section(
    block: Block, found: Sequence[Comparison], margin: float, level: float, name: str
) -> Section:
    """Return everything on the test accuracy of a block."""
    section = Section("Test accuracy", _warnings(block))
    best = list(leads(block, margin, level))
    caption = (
        f"Test accuracy in percent: mean over seeds with its {level:.0%} interval (Student's t), "
        "which tells what another seed may give, not other test images."
    )
    head, rows = block.table(lambda s, c: cell(block, s, c, level))
    section.tables.append(Table(f"{name}accuracy", caption, head, rows))
    if any(accuracy(row) is not None for row in block.rows):
        section.figures += [_lines(block, level, name), _heat(block, best, name)]
    if len(block.series) > 1 and best:
        section.tables.append(lead_table(block, best, level, name))
    if found:
        section.tables.append(comparisons.table(found, margin, level, f"{name}comparisons"))
    return section


def contrast_section(block: Block, level: float, name: str) -> Section:
    """Return the accuracy at each contrast severity."""
    panels = [
        (
            block.head(column) if column is not None else "",
            [
                figures.Line(
                    told(series),
                    i,
                    [
                        figures.Point(x, block.spread(series, column, at_contrast(s), level))
                        for x, s in enumerate(("0", *SEVERITIES))
                    ],
                )
                for i, series in enumerate(block.series)
            ],
        )
        for column in block.drawn
    ]
    ticks = ["0", *SEVERITIES]
    drawing = figures.lines(panels, "contrast severity", PERCENT, ticks)
    caption = f"Test accuracy as contrast is taken away, with {level:.0%} intervals; 0: unchanged."
    alternative = f"{caption} The table has the numbers."
    figure = Figure(f"{name}contrast", caption + block.left_out, alternative, drawing)
    rows = [
        [
            f"{told(s)}, {block.head(c)}" if c is not None else told(s),
            *(
                with_interval(block.spread(s, c, at_contrast(severity), level))
                for severity in ("0", *SEVERITIES)
            ),
        ]
        for s in block.series
        for c in block.columns
    ]
    head = [short(block.by[0]), "unchanged", *(f"severity {s}" for s in SEVERITIES)]
    table = Table(f"{name}contrast", caption, head, rows)
    words = ["Severity 1 to 5 leaves 75, 50, 40, 30 and 15 % of each image's contrast."]
    return Section("Less contrast", words, [table], [figure])


def cell(block: Block, series: Any, column: Any, level: float) -> str:
    """Return the accuracy of a cell, or why there is none."""
    rows = block.cells.get((series, column), [])
    text = with_interval(block.spread(series, column, accuracy, level))
    lacking = state_words(rows)
    if not any(row.state == "finished" for row in rows):
        return lacking
    return f"{text}; {lacking}" if lacking else text


def state_words(rows: Sequence[Row]) -> str:
    """Return which runs of a cell did not finish, empty if all did."""
    if not rows:
        return "no run"
    states = [row.state for row in rows if row.state != "finished"]
    of = f" of {len(rows)}" if len(rows) > len(states) else ""
    return ", ".join(f"{states.count(state)}{of} {state}" for state in dict.fromkeys(states))


def _warnings(block: Block) -> list[str]:
    counts = [len(block.values(s, c, accuracy)) for s in block.series for c in block.columns]
    words = []
    if single := counts.count(1):
        words.append(
            f"{plural(single, 'cell')} of {len(counts)} stand on one seed: they have no interval, "
            "and nothing can be concluded from them. Add seed=0,1,2 and more."
        )
    if empty := counts.count(0):
        words.append(f"{plural(empty, 'cell')} of {len(counts)} have no result (yet).")
    return words


def _lines(block: Block, level: float, name: str) -> Figure:
    spreads = [
        [block.spread(series, column, accuracy, level) for column in block.columns]
        for series in block.series
    ]
    caption = f"Mean over seeds and {level:.0%} interval; hollow: one seed, no interval."
    if len(block.columns) == 1:
        drawing = figures.dots([*map(told, block.series)], [row[0] for row in spreads], PERCENT)
    else:
        of_series = [
            figures.Line(told(series), i, [*map(figures.Point, range(len(row)), row)])
            for i, (series, row) in enumerate(zip(block.series, spreads, strict=True))
        ]
        ticks = [told(column) for column in block.columns]
        drawing = figures.lines([("", of_series)], short(block.by[1]), PERCENT, ticks)
    over = " by ".join(map(short, block.by))
    alternative = f"Test accuracy by {over}; the table “Test accuracy” has the numbers."
    return Figure(f"{name}accuracy", caption, alternative, drawing)


def _heat(block: Block, found: Sequence[Lead], name: str) -> Figure:
    values = [[_mean(block, s, c) for c in block.columns] for s in block.series]
    notes = [
        [
            number(value)
            if value is not None
            else state_words(block.cells.get((s, c), [])).replace(", ", "\n").replace(" of ", "/")
            for value, c in zip(row, block.columns, strict=True)
        ]
        for row, s in zip(values, block.series, strict=True)
    ]
    by_column = {lead.column: block.series.index(lead.best) for lead in found}
    best = [by_column.get(column) for column in block.columns]
    xlabel = short(block.by[1]) if len(block.by) > 1 else ""
    heads = [told(column) if column is not None else "" for column in block.columns]
    drawing = figures.heat([*map(told, block.series)], heads, values, notes, best, xlabel)
    caption = "Mean test accuracy in percent; the frame is round the best of a column."
    alternative = f"{caption} The tables “Test accuracy” and “The best” have the numbers."
    return Figure(f"{name}best", caption, alternative, drawing)


def _mean(block: Block, series: Any, column: Any) -> float | None:
    values = block.values(series, column, accuracy)
    return sum(values) / len(values) if values else None
