"""Cells that cannot work are refused before any is started.

Whether a norm works on a network's maps takes torch to find out, which takes seconds to import: a
process of its own does it. On the way it downloads or decodes the data set, which cells that start
together would each do.
"""

import sys
from collections.abc import Callable, Sequence

from normexp.errors import UserError
from normexp.sweep.cell import Cell
from normexp.sweep.pool import Child, Task
from normexp.sweep.question import answer


def impossible(
    cells: Sequence[Cell], threads: int | None, begin: type[Child], is_stopping: Callable[[], bool]
) -> dict[str, str]:
    """Return by label why some of the `cells`, which have not begun, cannot work.

    They are tried with the `threads` of their trainings: more would wait for each other where other
    programs share the cores, and take ten times as long. Raises UserError if there is one and they
    are not to be left out (`skip_impossible`).
    """
    if not cells or (len(cells) < 2 and not cells[0].runtime.skip_impossible):
        return {}  # a single one says it itself
    # First weights and order of images make no difference.
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(cell.spec.cell_name, []).append(cell)
    asked = [same[0].asked(threads) for same in alike.values()]
    problems: list[str | None] | None = answer(Task("check", {"cells": asked}), begin, is_stopping)
    if is_stopping():
        return {}
    if problems is None:
        print("the cells could not be checked before the start", file=sys.stderr)
        return {}
    bad = [(same, p) for same, p in zip(alike.values(), problems, strict=True) if p]
    if bad and not cells[0].runtime.skip_impossible:
        (cell, *_), problem = bad[0]
        more = "1 more cell" if len(bad) == 2 else f"{len(bad) - 1} more cells"
        others = f"; {more} cannot work" if len(bad) > 1 else ""
        remedy = "; skip_impossible=true trains the others" if len(bad) < len(alike) else ""
        raise UserError(
            f"{problem} (in the cell {cell.label}){others}; nothing was started{remedy}"
        )
    return {cell.label: problem for same, problem in bad for cell in same}
