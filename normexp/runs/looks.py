"""Which seeds of a cell were planned before it was first looked at: `looks.json` below the outputs.

Seeds that are added after a look were added because of it, perhaps, and count as sequential.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from normexp.runs.files import DamagedFileError, read_record, write_record
from normexp.runs.lock import locked
from normexp.runs.runtime import Design, Runtime
from normexp.runs.spec import RunSpec

FILE = "looks.json"

Seeds = Mapping[str, tuple[int, ...]]  # by the cell's name (`RunSpec.cell_name`)


@dataclass(frozen=True)
class Looks:
    """What was there when cells were looked at, and what had been asked for."""

    cells: Seeds  # the seeds at the first look
    asked: Seeds = field(default_factory=dict)  # those that sweeps had asked for before it

    def is_added(self, spec: RunSpec) -> bool:
        """Whether a run's seed came after a look at its cell."""
        name = spec.cell_name
        known = (*self.cells[name], *self.asked.get(name, ())) if name in self.cells else None
        return known is not None and spec.seed not in known


def read_looks(outputs: Path) -> Looks:
    """Return what is noted below a folder; nothing where there is no note that is whole."""
    path = outputs / FILE
    try:
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, DamagedFileError):
        return Looks({})


@lru_cache(maxsize=1)
def _read(path: Path, _modified: int, _size: int) -> Looks:
    """Return the content of a file; a sweep asks for the same one of each of its runs."""
    return read_record(path, Looks)


def note_look(outputs: Path, cells: Mapping[str, Iterable[int]]) -> None:
    """Note the seeds of cells at their first look, if the note can be written."""
    if cells.keys() <= read_looks(outputs).cells.keys():
        return
    with suppress(OSError), locked(outputs, wait=True):
        looks = read_looks(outputs)
        now = {name: tuple(sorted(seeds)) for name, seeds in cells.items()}
        write_record(outputs / FILE, Looks({**now, **looks.cells}, looks.asked))


def note_asked(outputs: Path, specs: Iterable[RunSpec]) -> None:
    """Note the seeds that a sweep is to train of cells which nobody has looked at."""
    wanted: dict[str, set[int]] = {}
    for spec in specs:
        wanted.setdefault(spec.cell_name, set()).add(spec.seed)
    with suppress(OSError):
        outputs.mkdir(parents=True, exist_ok=True)
    with suppress(OSError), locked(outputs, wait=True):
        looks = read_looks(outputs)
        new = {
            name: tuple(sorted({*seeds, *looks.asked.get(name, ())}))
            for name, seeds in wanted.items()
            if name not in looks.cells
        }
        if (asked := {**looks.asked, **new}) != looks.asked:
            write_record(outputs / FILE, Looks(looks.cells, asked))


def design_for(runtime: Runtime, spec: RunSpec) -> Design:
    """Return the design of a run: sequential where its seed is added after a look at its cell."""
    is_added = read_looks(Path(runtime.outputs).expanduser()).is_added(spec)
    return Design.SEQUENTIAL if is_added else runtime.design
