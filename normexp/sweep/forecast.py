"""What a sweep is about to do, and how long it may take."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import isnan, nan
from statistics import mean

from normexp.runs.text import duration, plural
from normexp.sweep.cell import Cell


def start_line(cells: Sequence[Cell], at_once: int) -> str:
    """Return what is there and what is to do, in a line."""
    finished = [cell for cell in cells if cell.is_finished]
    missing = [cell for cell in cells if not cell.is_finished]
    to_resume = sum(cell.has_begun for cell in missing)
    counts = [
        f"{number} {what}"
        for number, what in (
            (len(finished), "finished"),
            (to_resume, "to resume"),
            (len(missing) - to_resume, "to do"),
        )
        if number
    ]
    if (at_once := min(at_once, len(missing))) > 1:
        counts.append(f"{at_once} at once")
    runs, of_cells = plural(len(cells), "run"), len({cell.spec.cell_name for cell in cells})
    line = f"{runs} in {plural(of_cells, 'cell')}: {', '.join(counts)}"
    seconds = expected_seconds(finished, missing)
    if seconds is not None:
        source = plural(len(finished), "finished run")
        line += f"; about {duration(max(1, seconds / at_once))} of training (from {source})"
    return line


def expected_seconds(finished: Sequence[Cell], missing: Sequence[Cell]) -> float | None:
    """Return what the `missing` cells take one after another, or None where nothing tells.

    An image takes as long as in the finished cells of the same model and batch size, else as in
    all. How many images an epoch has is known from finished cells with the same ones.
    """
    alike: dict[tuple[str, int], list[float]] = defaultdict(list)
    per_epoch: dict[str, float] = {}
    for cell in finished:
        result = cell.result()
        if result is not None and result.outcome == "finished" and result.images:
            alike[_kind(cell)].append(result.timing.seconds / result.images)
            if cell.spec.epochs:
                per_epoch[_images(cell)] = result.images / cell.spec.epochs
    if not alike or not missing:
        return None
    of_all = mean(seconds for group in alike.values() for seconds in group)
    total = sum(
        _images_to_train(cell, per_epoch) * mean(alike.get(_kind(cell), [of_all]))
        for cell in missing
    )
    return None if isnan(total) else total


def _kind(cell: Cell) -> tuple[str, int]:
    return cell.spec.model.name, cell.spec.batch_size


def _images_to_train(cell: Cell, per_epoch: Mapping[str, float]) -> float:
    """Return how many images a cell trains on in all; nan where that is not known."""
    spec = cell.spec
    if spec.steps is not None:
        return spec.steps * spec.batch_size * spec.accumulate
    return (spec.epochs or 0) * per_epoch.get(_images(cell), nan)


def _images(cell: Cell) -> str:
    """Return what tells which images a cell trains on."""
    data = cell.spec.data
    return repr((data.source, data.limit, data.val_fraction))
