"""The runs that a command reads, and a line on the screen for each that it cannot read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from normexp.analysis.rows import Run, of_study
from normexp.errors import visible
from normexp.runs.catalogue import Catalogue, read_runs


def found_runs(outputs: Path, study: str | None = None) -> list[Run]:
    """Return the runs below `outputs`, of one study or all; raises UserError if there is none."""
    return of_study(told(read_runs(outputs)).entries, outputs, study)


def told(found: Catalogue) -> Catalogue:
    """Return the catalogue, once what is wrong in it is printed."""
    tell(found.problems)
    return found


def tell_lenses(runs: Iterable[Run]) -> None:
    """Print a line on each run whose `lens.json` cannot be read."""
    tell(filter(None, (run.problem_of_lens() for run in runs)))


def tell(lines: Iterable[str]) -> None:
    """Print lines on files that are wrong."""
    for line in lines:
        print(visible(line), file=sys.stderr)
