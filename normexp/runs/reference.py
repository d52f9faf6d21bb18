"""The runs that normexp ships: the file `reference.xz`, which `docs/results/data.md` describes.

The first line of the file is about all of it; each further line is a run. Reading it yields what
`runs/catalogue.py` finds in the folders of runs.
"""

from __future__ import annotations

import json
import lzma
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from normexp.errors import UserError
from normexp.runs.catalogue import Entry
from normexp.runs.files import write_record
from normexp.runs.folder import RunFolder
from normexp.runs.lock import locked
from normexp.runs.looks import design_for
from normexp.runs.plain import Plain, from_plain, to_plain
from normexp.runs.record import LensRecord, Measurements, RunRecord
from normexp.runs.result import RunResult
from normexp.runs.runtime import Design, Runtime
from normexp.runs.spec import RunSpec
from normexp.settings import SHIPPED

FILE = Path(__file__).with_name("reference.xz")
FORMAT = 1
IMAGES: Mapping[str, str] = {"0d6595476dff3a9f": "JPEG files of CIFAR-10"}
"""Sets of images by their digest (`runs/tree.py`)."""


@dataclass(frozen=True)
class ShippedFolder(RunFolder):
    """Stands for the folder of a run that is not on disk."""

    shipped_lens: Plain | None = field(default=None, compare=False)

    def lens(self) -> LensRecord | None:
        return from_plain(LensRecord, self.shipped_lens) if self.shipped_lens else None


@dataclass(frozen=True)
class Row:
    """A run of the file."""

    name: str  # by which the file is sorted
    record: RunRecord
    result: RunResult
    day: str  # when it ended, such as 2026-11-25
    lens: Plain | None = None  # its `LensRecord` as plain values

    @property
    def entry(self) -> Entry:
        """The run as the catalogue has it."""
        ended = time.mktime(time.strptime(self.day, "%Y-%m-%d"))
        folder = ShippedFolder(Path(SHIPPED, "runs", self.name), self.lens)
        return Entry(folder, self.record, self.result, None, ended)

    def to_line(self) -> str:
        """Return the row as text; its name comes first."""
        plain: Plain = {"name": self.name, "day": self.day}
        plain |= {"record": self.record.to_plain(), "result": to_plain(self.result)}
        plain |= {"lens": self.lens} if self.lens else {}
        return json.dumps(plain, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_plain(cls, plain: Plain) -> Row:
        """Return the row of the values that `to_line` wrote."""
        result = from_plain(RunResult, plain["result"])
        record = RunRecord.from_plain(plain["record"])
        return cls(plain["name"], record, result, plain["day"], plain.get("lens"))


@dataclass(frozen=True)
class About:
    """The first line of the file."""

    format: int = FORMAT
    version: int = 0  # raised with every change of the content
    tuned: Mapping[str, Any] = field(default_factory=dict)
    """What `normexp tune` wrote, by study (`tuned.TunedFile`)."""
    measured: tuple[Measurements, ...] = ()


def about() -> About:
    """Return what the file says of all of it."""
    return _about(FILE)


def rows(without: str = "") -> list[Row]:
    """Return the runs of the file by name, but for studies whose name begins with `without`."""
    every = map(json.loads, _lines(FILE)[1:])
    return [
        Row.from_plain(plain)
        for plain in every
        if not (without and all_begin(plain["record"]["studies"], without))
    ]


def all_begin(studies: Sequence[str], start: str) -> bool:
    """Whether a run is of studies of this kind alone, by what their names begin with."""
    return bool(studies) and all(study.startswith(start) for study in studies)


def find(name: str) -> Row | None:
    """Return the run of this name, None where it is not in the file; reads only this one."""
    line = _by_name(FILE).get(name)
    return None if line is None else Row.from_plain(json.loads(line))


def take(folder: RunFolder, spec: RunSpec, command: str, runtime: Runtime) -> bool:
    """Put a run of the file into its folder, where it is not finished; return whether it was.

    It then is a finished run like any other, but for its weights, which are not shipped. With
    `runtime.reference=false` such a run is finished no more, so that it is trained. Raises
    InProgressError where another process is at work on it.
    """
    if folder.is_finished() and (runtime.reference or folder.weights.exists()):
        return False
    row = find(spec.name)
    if row is None:
        return False
    if not runtime.reference:
        if folder.result_file.exists():
            with locked(folder.path, wait=True):
                if not folder.weights.exists():  # no other process has trained it meanwhile
                    folder.result_file.unlink(missing_ok=True)
        return False
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path):
        folder.mend()
        design = design_for(runtime, spec)
        design = design if design is row.record.design else Design.SEQUENTIAL
        folder.open(spec, command, runtime.study, design)
        folder.forget_failure()
        if row.lens:
            write_record(folder.lens_file, from_plain(LensRecord, row.lens))
        folder.finish(row.result)
    return True


def taken_words(what: str, row: str) -> str:
    """Return a line on runs that were taken from the file."""
    return (
        f"{what} taken from the runs that normexp ships; normexp verify row={row} trains it again "
        "and compares, runtime.reference=false trains in the place of it"
    )


def write(about: About, found: Sequence[Row]) -> None:
    """Write the file; the same content gives the same bytes."""
    first = json.dumps(to_plain(about), separators=(",", ":"), sort_keys=True, allow_nan=False)
    lines = [first, *(row.to_line() for row in sorted(found, key=lambda row: row.name))]
    FILE.write_bytes(lzma.compress("\n".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME))


@cache
def _about(file: Path) -> About:
    found = from_plain(About, json.loads(_lines(file)[0]))
    if found.format != FORMAT:
        raise UserError(f"{file} has the format {found.format}, not {FORMAT}; install normexp anew")
    return found


@cache
def _by_name(file: Path) -> Mapping[str, str]:
    """Return the lines of the runs, which a sweep of thousands asks for one after another."""
    read, start = json.JSONDecoder().raw_decode, len('{"name":')
    return {read(line, start)[0]: line for line in _lines(file)[1:]}


@cache
def _lines(file: Path) -> Sequence[str]:
    try:
        return lzma.decompress(file.read_bytes()).decode().split("\n")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}); install normexp anew") from error
