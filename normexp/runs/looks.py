"""Which seeds of a cell were planned before it was first looked at: `looks.json` below the outputs.

Seeds that are added after a look were added because of it, perhaps, and count as sequential.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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


def looked_before(outputs: Path) -> Mapping[str, frozenset[int]]:
    """Return the seeds of each cell that was looked at which were there or asked for before."""
    looks = _read(outputs)
    return {
        name: frozenset((*seeds, *looks.asked.get(name, ()))) for name, seeds in looks.cells.items()
    }


def note_look(outputs: Path, cells: Mapping[str, Iterable[int]]) -> None:
    """Note the seeds of cells at their first look, if the note can be written."""
    if cells.keys() <= _read(outputs).cells.keys():
        return
    with suppress(OSError), locked(outputs, wait=True):
        looks = _read(outputs)
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
        looks = _read(outputs)
        new = {
            name: tuple(sorted({*seeds, *looks.asked.get(name, ())}))
            for name, seeds in wanted.items()
            if name not in looks.cells
        }
        if (asked := {**looks.asked, **new}) != looks.asked:
            write_record(outputs / FILE, Looks(looks.cells, asked))


def design_for(runtime: Runtime, spec: RunSpec) -> Design:
    """Return the design of a run: sequential where its seed is added after a look at its cell."""
    seeds = looked_before(Path(runtime.outputs).expanduser()).get(spec.cell_name)
    is_added = seeds is not None and spec.seed not in seeds
    return Design.SEQUENTIAL if is_added else runtime.design


def _read(outputs: Path) -> Looks:
    try:
        return read_record(outputs / FILE, Looks)
    except (OSError, DamagedFileError):
        return Looks({})
