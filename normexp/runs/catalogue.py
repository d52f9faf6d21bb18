"""All runs below a folder, and their cells: runs that differ in the seed only."""

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from normexp.errors import UserError, visible
from normexp.kinds import typed
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.record import RunRecord
from normexp.runs.result import RunResult
from normexp.runs.spec import Settings

SKEW_SECONDS = 3600.0
"""How far the clocks of two machines may be apart."""
NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)?"
RANGE = re.compile(rf"{NUMBER}\.\.{NUMBER}")
"""`4..32`, `4..` or `..32`."""


@dataclass(frozen=True)
class Entry:
    """One run on disk."""

    folder: RunFolder
    record: RunRecord
    result: RunResult | None
    failure: str | None  # why it failed when it was last tried, or why its result cannot be read
    modified: float  # when something last happened to it, in seconds since 1970
    problem: str | None = None  # what is wrong with a file of it, and what to do

    @property
    def state(self) -> str:
        """`finished`, `diverged`, `failed`, or `unfinished`."""
        if self.result is not None:
            return self.result.outcome
        return "unfinished" if self.failure is None else "failed"

    @property
    def factors(self) -> Settings:
        """Its settings by dotted key; a group's name stands under the group's key."""
        return self.record.spec.factors


@dataclass(frozen=True)
class Catalogue:
    """The runs below some folders, by name, and a line on each that cannot be read."""

    entries: list[Entry]
    left_out: list[str]

    @property
    def problems(self) -> list[str]:
        """A line on each file that is wrong, what to do among it."""
        return [*self.left_out, *(entry.problem for entry in self.entries if entry.problem)]


def catalogue(*outputs: Path) -> list[Entry]:
    """Return the runs below some folders that can be read, by name."""
    return read_runs(*outputs).entries


def read_runs(*outputs: Path) -> Catalogue:
    """Return the runs below some folders, and which are left out.

    Of a run in several folders it is one that has a result. Raises UserError where one of
    `outputs` lies within the folder that is meant.
    """
    for each in outputs:
        require_no_part(each)
    found: dict[str, Entry] = {}
    left_out = []
    for folder in (folder for each in outputs for folder in RunFolder.all_below(each)):
        try:
            entry = read_entry(folder)
            before = found.setdefault(folder.name, entry)
            if before.record.spec.name != entry.record.spec.name:
                what = f"{folder.path} is another run than {before.folder.path}"
                left_out.append(f"left out: {what}; rename one of the two folders")
            elif before.result is None:
                found[folder.name] = entry
        except FileNotFoundError:  # removed as we look
            continue
        except (OSError, DamagedFileError) as error:
            left_out.append(f"left out: {unreadable(error)}")
    for copy, original in _copies(list(found.values())):
        what = f"{copy.folder.path} is a copy of {original.folder.name}"
        left_out.append(f"left out: {what}; move one of them away")
        del found[copy.folder.name]
    return Catalogue([found[name] for name in sorted(found)], left_out)


def require_no_part(outputs: Path) -> None:
    """Raise UserError where `outputs` has no runs and is `runs`, or a run, of one that has."""
    here = outputs.absolute()
    wholes = [each.parent for each in (here, here.parent) if each.name == "runs"]
    whole = next((each for each in wholes if RunFolder.all_below(each)), None)
    if whole and not RunFolder.all_below(outputs):
        shown = whole if outputs.is_absolute() else os.path.relpath(whole)
        raise UserError(f"there is no run in {outputs}; the folder to give is {shown}")


def _copies(entries: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Return results that would count twice, each with the one that counts."""
    first: dict[str, Entry] = {}
    copies = []
    for entry in sorted(entries, key=lambda e: e.folder.name != e.record.spec.name):
        if entry.result is not None:
            original = first.setdefault(entry.record.spec.name, entry)
            if original is not entry:
                copies.append((entry, original))
    return copies


def unreadable(error: OSError | DamagedFileError) -> str:
    """Return what is wrong with the record of a run, and what to do."""
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read ({error.strerror}); change that, or move it away"
    if " of a later normexp" in str(error):
        return str(error)
    return f"{error}; the run's command, typed again, mends it, or move it away"


def read_entry(folder: RunFolder) -> Entry:
    """Return what the folder of a run says; raises OSError and DamagedFileError."""
    modified, record = last_change(folder), folder.record()
    try:
        failure, result = folder.failure(), folder.result()
    except (OSError, DamagedFileError) as error:
        reason = unreadable(error)
        return Entry(folder, record, None, reason, modified, reason)
    late = f"{folder.path} was changed at a time to come, by a clock that is wrong; touch its files"
    problem = late if modified > time.time() + SKEW_SECONDS else None
    return Entry(folder, record, result, failure, modified, problem)


def last_change(folder: RunFolder) -> float:
    """Return when something last happened to a run, in seconds since 1970."""
    return max((_modified(file) for file in folder.path.iterdir()), default=0.0)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # a run in progress has just renamed it, or it is a link to nowhere
        return 0.0


def reasons(entries: Iterable[Entry]) -> list[str]:
    """Return a line on each run that diverged or failed, but for those with a `problem`."""
    return [
        visible(f"{entry.folder.name} {entry.result or f'failed: {entry.failure}'}")
        for entry in entries
        if entry.state in ("diverged", "failed") and not entry.problem
    ]


def matching(entries: Iterable[Entry], wanted: Mapping[str, str]) -> list[Entry]:
    """Return the entries whose factors, `state` and `study` are as `wanted`.

    Numbers are compared as numbers, other values as they are typed; `4..32` is any number from 4
    to 32, `1,2` one of the two.
    """
    return [
        entry
        for entry in entries
        if all(
            value in entry.record.studies
            if key == "study"
            else _fits(entry.state if key == "state" else entry.factors.get(key), value)
            for key, value in wanted.items()
        )
    ]


def _fits(value: object, wanted: str) -> bool:
    if limits := RANGE.fullmatch(wanted):
        least, most = (float(limit) if limit else None for limit in limits.groups())
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (least is None or value >= least)
            and (most is None or value <= most)
        )
    return any(_equals(value, each.strip()) for each in (wanted, *wanted.split(",")))


def _equals(value: object, wanted: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(ValueError):  # it is no number
            return value == float(wanted)
    return typed(value) == wanted
