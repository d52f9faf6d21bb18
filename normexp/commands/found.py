"""Lines on the screen for records that are wrong."""

import sys
from collections.abc import Iterable

from normexp.analysis.rows import Run
from normexp.errors import visible


def tell(lines: Iterable[str]) -> None:
    """Print lines on files that are wrong."""
    for line in lines:
        print(visible(line), file=sys.stderr)


def tell_lenses(runs: Iterable[Run]) -> None:
    """Print a line on each run whose `lens.json` cannot be read."""
    tell(filter(None, (run.problem_of_lens() for run in runs)))
