"""Cells that cannot work are told before any is started.

Whether a norm works on a network's maps takes torch to find out, which takes seconds to import: a
process of its own does it. On the way it downloads or decodes the data set, which cells that start
together would each do.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from normexp.errors import UserError
from normexp.sweep.cell import Cell
from normexp.sweep.pool import POLL_SECONDS, Child


def refuse_bad_cells(
    cells: Sequence[Cell],
    checker: Sequence[str],
    begin: type[Child],
    stop_asked: Callable[[], bool],
) -> None:
    """Raise UserError if one of the `cells`, which have not begun, cannot work.

    The command `checker` gets a list of settings as a line of JSON, and prints a list of what is
    wrong with each, null for nothing.
    """
    if len(cells) < 2:  # a single one tells it itself
        return
    # First weights and order of images make no difference.
    distinct = {json.dumps({**settings(cell), "seed": 0}): cell for cell in cells}
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        child = begin(checker, answer, {}, own_errors=False)
        try:
            child.send(f"[{', '.join(distinct)}]\n")
            while child.exit_code() is None and not stop_asked():
                time.sleep(POLL_SECONDS)
        finally:
            child.end()
        lines = answer.read_text().splitlines()
    if stop_asked():
        return
    if child.exit_code() != 0 or not lines:
        print("the cells could not be checked before the start", file=sys.stderr)
        return
    problems = [
        (cell, problem)
        for cell, problem in zip(distinct.values(), json.loads(lines[-1]), strict=True)
        if problem
    ]
    if problems:
        cell, problem = problems[0]
        others = f"; {len(problems) - 1} more cells cannot work" if len(problems) > 1 else ""
        raise UserError(f"{problem} (in the cell {cell.label}){others}; nothing was started")


def settings(cell: Cell) -> dict[str, object]:
    """Return the settings of a cell's command, as plain values."""
    runtime = asdict(cell.runtime)
    return {**cell.spec.settings, "study": runtime.pop("study"), "runtime": runtime}
