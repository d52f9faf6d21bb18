"""How the trainings went: curves, steps to an accuracy, the gap to test, cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normexp.analysis.measures import (
    curve,
    gap,
    parameters,
    seconds,
    speed,
    steps_to,
    train_accuracy,
)
from normexp.analysis.render import figures
from normexp.analysis.render.document import NONE, Figure, Section, Table, with_interval
from normexp.analysis.report.blocks import Block, short, told
from normexp.analysis.rows import Row
from normexp.analysis.statistics import spread

TARGETS = (30, 50, 70, 90)
XLABELS = {"images": "training images seen", "seconds": "seconds of training"}


def training_section(block: Block, level: float, name: str) -> Section:
    """Return curves, steps to an accuracy, gap and cost."""
    section = Section("Training")
    for over, xlabel in XLABELS.items():
        panels = [
            (block.head(column) if column is not None else "", list(_bands(block, column, over)))
            for column in block.drawn
        ]
        if any(bands for _, bands in panels):
            caption = (
                f"Validation accuracy by {xlabel}: the mean over finished runs, and the range of "
                f"the seeds. A point is the end of an epoch.{block.left_out}"
            )
            drawing = figures.curves(panels, xlabel, "validation accuracy, %")
            section.figures.append(Figure(f"{name}curves_{over}", caption, caption, drawing))
    section.tables += [_reach(block, level, name), _cost(block, level, name)]
    return section


def _bands(block: Block, column: Any, over: str) -> list[figures.Band]:
    bands = []
    for i, series in enumerate(block.series):
        found = [curve(row, over) for row in block.cells.get((series, column), [])]
        known = [each for each in found if each is not None and each[0]]
        if known:
            points = min(len(x) for x, _ in known)
            x = [sum(each[0][k] for each in known) / len(known) for k in range(points)]
            band = figures.Band(told(series), i, x, [y[:points] for _, y in known])
            bands.append(band)
    return bands


def _reach(block: Block, level: float, name: str) -> Table:
    def text(rows: Sequence[Row], target: int) -> str:
        ended = [row for row in rows if row.result is not None]
        steps = [steps_to(target)(row) for row in ended]
        reached = [step for step in steps if step is not None]
        if not ended:
            return NONE
        if not reached:
            return "not reached"
        if len(reached) < len(ended):
            return f"{len(reached)} of {len(ended)} seeds"
        return with_interval(spread(reached, level), 0)

    head = [short(block.by[0]), *(f"to {target} %" for target in TARGETS)]
    caption = (
        "Steps to a validation accuracy, known at the ends of epochs. Where not all seeds reach "
        "it, diverged ones included, there is no mean."
    )
    rows = [
        [_place(block, s, c), *(text(block.cells.get((s, c), []), target) for target in TARGETS)]
        for s in block.series
        for c in block.columns
    ]
    return Table(f"{name}steps", caption, head, rows)


def _cost(block: Block, level: float, name: str) -> Table:
    columns = {
        "train accuracy, %": (train_accuracy, 1),
        "train − test, points": (gap, 1),
        "seconds": (seconds, 1),
        "images/s": (speed, 0),
        "parameters": (parameters, 0),
    }
    rows = []
    for s in block.series:
        for c in block.columns:
            row = [_place(block, s, c)]
            for what, (measure, digits) in columns.items():
                found = block.values(s, c, measure)
                if what == "parameters":
                    row.append(" or ".join(f"{n:,.0f}" for n in dict.fromkeys(found)) or NONE)
                else:
                    row.append(with_interval(spread(found, level) if found else None, digits))
            rows.append(row)
    caption = (
        "Accuracy over the last epoch of training, with augmentation and in training mode, the "
        "gap to test, and the cost as it was on the machines named below."
    )
    return Table(f"{name}cost", caption, [short(block.by[0]), *columns], rows)


def _place(block: Block, series: Any, column: Any) -> str:
    return f"{told(series)}, {block.head(column)}" if column is not None else told(series)
