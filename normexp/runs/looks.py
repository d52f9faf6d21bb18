"""Which seeds of a cell were there when it was first looked at: `looks.json` below the outputs.

Seeds that are added after a look were added because of it, perhaps, and count as sequential.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from normexp.runs.files import DamagedFileError, read_record, write_record
from normexp.runs.lock import locked

FILE = "looks.json"


@dataclass(frozen=True)
class Looks:
    """The seeds at the first look, by the cell's name (`RunSpec.cell_name`)."""

    cells: Mapping[str, tuple[int, ...]]


def looked_before(outputs: Path) -> Mapping[str, frozenset[int]]:
    """Return the seeds that each cell had at its first look; empty where nothing was looked at."""
    try:
        looks = read_record(outputs / FILE, Looks)
    except (OSError, DamagedFileError):
        return {}
    return {name: frozenset(seeds) for name, seeds in looks.cells.items()}


def note_look(outputs: Path, cells: Mapping[str, Iterable[int]]) -> None:
    """Note the seeds of cells at their first look, if the note can be written."""
    if cells.keys() <= looked_before(outputs).keys():
        return
    with suppress(OSError), locked(outputs, wait=True):
        now = {name: tuple(sorted(seeds)) for name, seeds in cells.items()}
        before = {name: tuple(sorted(seeds)) for name, seeds in looked_before(outputs).items()}
        write_record(outputs / FILE, Looks({**now, **before}))
