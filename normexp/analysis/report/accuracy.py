"""Test accuracy by series and column, who is best, and what is left as contrast goes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from normexp.analysis.measures import SEVERITIES, accuracy, at_contrast
from normexp.analysis.render import figures
from normexp.analysis.render.document import (
    Figure,
    Section,
    Table,
    number,
    plural,
    with_interval,
)
from normexp.analysis.report import comparisons
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.report.comparisons import CellComparison
from normexp.analysis.report.leads import Lead, lead_table, leads
from normexp.analysis.rows import Run
from normexp.settings import typed

PERCENT = "test accuracy, %"
LEVELS = ("0", *SEVERITIES)
"""Contrast severities; 0: unchanged."""


def accuracy_section(
    block: Block, found: Sequence[CellComparison], margin: float, level: float, name: str
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
    if block.has(accuracy):
        section.figures += [_lines(block, level, name), _heat(block, best, name)]
    if len(block.series) > 1 and best:
        section.tables.append(lead_table(block, best, level, name))
    if found:
        section.tables.append(comparisons.table(found, margin, level, f"{name}comparisons"))
    return section


def contrast_section(block: Block, level: float, name: str) -> Section:
    """Return the accuracy at each contrast severity."""

    def spreads(series: object, column: object) -> figures.Spreads:
        return [block.spread(series, column, at_contrast(s), level) for s in LEVELS]

    panels = [
        (
            block.panel(column),
            [figures.Line(typed(s), i, spreads(s, column)) for i, s in enumerate(block.series)],
        )
        for column in block.drawn
    ]
    drawing = figures.lines(panels, "contrast severity", PERCENT, LEVELS)
    caption = f"Test accuracy as contrast is taken away, with {level:.0%} intervals; 0: unchanged."
    alternative = f"{caption} The table has the numbers."
    figure = Figure(f"{name}contrast", caption + block.left_out, alternative, drawing)
    rows = [[block.place(*at), *map(with_interval, spreads(*at))] for at in block.places]
    head = [short(block.by[0]), "unchanged", *(f"severity {s}" for s in SEVERITIES)]
    table = Table(f"{name}contrast", caption, head, rows)
    words = ["Severity 1 to 5 leaves 75, 50, 40, 30 and 15 % of each image's contrast."]
    return Section("Less contrast", words, [table], [figure])


def cell(block: Block, series: object, column: object, level: float) -> str:
    """Return the accuracy of a cell, or why there is none."""
    runs = block.cell(series, column)
    lacking = state_words(runs)
    if not any(run.state == "finished" for run in runs):
        return lacking
    text = with_interval(block.spread(series, column, accuracy, level))
    return f"{text}; {lacking}" if lacking else text


def state_words(runs: Sequence[Run]) -> str:
    """Return which runs of a cell did not finish, empty if all did."""
    if not runs:
        return "no run"
    states = [run.state for run in runs if run.state != "finished"]
    of = f" of {len(runs)}" if len(runs) > len(states) else ""
    return ", ".join(f"{states.count(state)}{of} {state}" for state in dict.fromkeys(states))


def _warnings(block: Block) -> list[str]:
    counts = [len(block.values(*place, accuracy)) for place in block.places]
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
    names = [*map(typed, block.series)]
    if len(block.columns) == 1:
        drawing = figures.dots(names, [own[0] for own in spreads], PERCENT)
    else:
        of_series = list(map(figures.Line, names, range(len(names)), spreads))
        ticks = [typed(column) for column in block.columns]
        drawing = figures.lines([("", of_series)], short(block.by[1]), PERCENT, ticks)
    caption = f"Mean over seeds and {level:.0%} interval; hollow: one seed, no interval."
    over = " by ".join(map(short, block.by))
    alternative = f"Test accuracy by {over}; the table “Test accuracy” has the numbers."
    return Figure(f"{name}accuracy", caption, alternative, drawing)


def _heat(block: Block, found: Sequence[Lead], name: str) -> Figure:
    by_column = {lead.column: block.series.index(lead.best) for lead in found}
    table = figures.Heat(
        rows=[*map(typed, block.series)],
        columns=[typed(column) if column is not None else "" for column in block.columns],
        values=[[_mean(block, s, c) for c in block.columns] for s in block.series],
        notes=[[_note(block, s, c) for c in block.columns] for s in block.series],
        best=[by_column.get(column) for column in block.columns],
    )
    drawing = figures.heat(table, short(block.by[1]) if len(block.by) > 1 else "")
    caption = "Mean test accuracy in percent; the frame is round the best of a column."
    alternative = f"{caption} The tables “Test accuracy” and “The best” have the numbers."
    return Figure(f"{name}best", caption, alternative, drawing)


def _note(block: Block, series: object, column: object) -> str:
    mean = _mean(block, series, column)
    if mean is not None:
        return number(mean)
    return state_words(block.cell(series, column)).replace(", ", "\n").replace(" of ", "/")


def _mean(block: Block, series: object, column: object) -> float | None:
    values = block.values(series, column, accuracy)
    return fmean(values) if values else None
