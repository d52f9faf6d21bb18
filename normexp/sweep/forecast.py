"""What a sweep is about to do, and how long it may take."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean

from normexp.runs.text import duration
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
    runs, of_cells = _number(len(cells), "run"), len({cell.spec.cell_name for cell in cells})
    line = f"{runs} in {_number(of_cells, 'cell')}: {', '.join(counts)}"
    seconds = expected_seconds(finished, missing)
    if seconds is not None:
        source = _number(len(finished), "finished run")
        line += f"; about {duration(seconds / at_once)} (from {source})"
    return line


def expected_seconds(finished: Sequence[Cell], missing: Sequence[Cell]) -> float | None:
    """Return what the `missing` cells take one after another, or None where nothing tells.

    A cell takes as long as the finished ones of its model and batch size did, else as all did.
    """
    alike: dict[tuple[str, int], list[float]] = defaultdict(list)
    for cell in finished:
        result = cell.result()
        if result is not None and result.outcome == "finished":
            alike[_kind(cell)].append(result.timing.seconds)
    if not alike or not missing:
        return None
    of_all = mean(seconds for group in alike.values() for seconds in group)
    return sum(mean(alike.get(_kind(cell), [of_all])) for cell in missing)


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _kind(cell: Cell) -> tuple[str, int]:
    return cell.spec.model.name, cell.spec.batch_size
