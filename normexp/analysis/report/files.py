"""The CSV files of a report: its cells and its runs, with all digits."""

from collections.abc import Mapping, Sequence

from normexp.analysis.intervals import Interval
from normexp.analysis.measures import (
    Measure,
    accuracy,
    at_contrast,
    balanced_accuracy,
    gap,
    parameters,
    seconds,
    speed,
    train_accuracy,
)
from normexp.analysis.report.blocks import Block
from normexp.analysis.report.comparisons import CellComparison
from normexp.analysis.rows import Run
from normexp.analysis.spread import Spread
from normexp.kinds import typed
from normexp.runs.tested import SEVERITIES
from normexp.runs.text import csv_text

STATES = ("finished", "diverged", "failed", "unfinished")
MEASURES: Mapping[str, Measure] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    **{f"accuracy_contrast_{severity}": at_contrast(severity) for severity in SEVERITIES},
    "train_accuracy": train_accuracy,
    "gap": gap,
    "seconds": seconds,
    "images_per_second": speed,
    "parameters": parameters,
}


def cells_csv(blocks: Sequence[Block], found: Sequence[CellComparison], level: float) -> str:
    """Return a line for each cell: its runs, its accuracy, and how it compares."""
    compared = {(id(c.block), c.series, c.column): c for c in found}
    lines = []
    for block in blocks:
        for (series, column), runs in block.cells.items():
            spread = block.accuracy(series, column, accuracy, level)
            states = [run.state for run in runs]
            each = compared.get((id(block), series, column))
            line: dict[str, object] = {
                "block": block.title,
                **dict(zip(block.by, map(typed, (series, column)), strict=False)),
                "runs": len(runs),
                **{state: states.count(state) for state in STATES},
                **(_accuracy(spread) if spread else {}),
            }
            lines.append(line | (_comparison(each) if each else {}))
    return csv_text(lines)


def _comparison(each: CellComparison) -> dict[str, object]:
    graded, images = each.comparison.graded, each.images
    line: dict[str, object] = {
        "reference": typed(each.reference),
        "grade": each.comparison.text,
        "notes": each.notes,
    }
    if graded is not None:
        line |= {"difference_n": graded.seeds, "difference_mean": graded.mean, "p": graded.p}
        line |= _ends("difference", graded.interval)
    if images is not None:
        line |= {**_ends("difference_images", images.interval), "correlation": images.correlation}
    return line


def _accuracy(found: Spread) -> dict[str, object]:
    line = {"accuracy_n": found.n, "accuracy_mean": found.mean}
    return {**line, **_ends("accuracy", found.interval)}


def _ends(name: str, interval: Interval | None) -> dict[str, object]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high} if interval else {}


def runs_csv(runs: Sequence[Run]) -> str:
    """Return a line for each run: its settings where runs differ, and what it found."""
    keys = dict.fromkeys(key for run in runs for key in run.factors)
    varying = [key for key in keys if len({run.factors.get(key) for run in runs}) > 1]
    return csv_text(
        [
            {
                "run": run.name,
                "state": run.state,
                **{key: typed(run.factors.get(key)) for key in varying},
                **{name: measure(run) for name, measure in MEASURES.items()},
                "command": run.command,
            }
            for run in runs
        ]
    )
