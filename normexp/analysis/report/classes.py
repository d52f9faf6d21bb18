"""Which classes are told apart: accuracy a class, and the confusion matrix of the best cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normexp.analysis.compare import ranked
from normexp.analysis.intervals import Values
from normexp.analysis.render.document import NONE, Section, Table, number
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.rows import Run

MOST_CLASSES = 20
"""A table with more is not read."""


def classes_section(block: Block, name: str) -> Section | None:
    """Return accuracy a class of each cell.

    None for records of format 0, for many classes, and for runs of data sets with other classes.
    """
    sets = {run.result.classes for run in block.runs if run.result}
    classes = next(iter(sets), ())
    found = {
        at: matrix for at in block.places if (matrix := confusion(block.cell(*at))) is not None
    }
    if not found or len(sets) > 1 or len(classes) > MOST_CLASSES:
        return None
    rows = [[block.place(*at), *(number(100 * v) for v in m.diagonal())] for at, m in found.items()]
    caption = "Accuracy in percent for the images of each class, over the seeds that finished."
    section = Section("Confusion matrix and classes")
    section.tables.append(Table(f"{name}classes", caption, [short(block.by[0]), *classes], rows))
    best = ranked({at: block.scores(*at) for at in found})[0]
    shown = found[best]
    section.tables.append(
        Table(
            f"{name}confusion",
            f"Confusion matrix of {block.place(*best)}, the cell with the highest accuracy: of "
            "the images of a class (row), the percentage taken for each (column).",
            ["images of", *classes],
            [
                [each, *(number(100 * v) if v else NONE for v in row)]
                for each, row in zip(classes, shown, strict=True)
            ],
            frozenset((i, i + 1) for i in range(len(classes))),
        )
    )
    return section


def confusion(runs: Sequence[Run]) -> Values | None:
    """Return the shares of predictions (column) by class (row) over the runs that finished."""
    tests = [run.result.test for run in runs if run.result and run.result.test]
    counts = [test.confusion for test in tests if test.confusion]
    if not counts or len({len(each) for each in counts}) > 1:
        return None
    total = np.sum(np.array(counts, dtype=float), axis=0)
    shares: Values = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    return shares
