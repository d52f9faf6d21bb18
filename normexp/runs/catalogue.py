"""All runs below a folder, and their cells: runs that differ in the seed only."""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.record import RunRecord
from normexp.runs.result import RunResult
from normexp.runs.spec import Settings
from normexp.settings import typed

RANGE = re.compile(r"(-?\d[\d.]*(?:e-?\d+)?)?\.\.(-?\d[\d.]*(?:e-?\d+)?)?")
"""`4..32`, `4..` or `..32`."""


@dataclass(frozen=True)
class Entry:
    """One run on disk."""

    folder: RunFolder
    record: RunRecord
    result: RunResult | None
    failure: str | None  # why it failed when it was last tried, or why its result cannot be read
    modified: float  # when something last happened to it, in seconds since 1970

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


def catalogue(*outputs: Path) -> list[Entry]:
    """Return the runs below some folders, by name; of a run in several, one that has a result."""
    found: dict[str, Entry] = {}
    for folder in (folder for each in outputs for folder in RunFolder.all_below(each)):
        try:
            entry = read_entry(folder)
            if folder.name not in found or found[folder.name].result is None:
                found[folder.name] = entry
        except FileNotFoundError:  # removed as we look
            continue
        except DamagedFileError as error:
            print(f"{error}; its command, typed again, mends it", file=sys.stderr)
    return [found[name] for name in sorted(found)]


def read_entry(folder: RunFolder) -> Entry:
    """Return what the folder of a run says; raises FileNotFoundError and DamagedFileError."""
    modified = max((_modified(file) for file in folder.path.iterdir()), default=0.0)
    record, failure = folder.record(), folder.failure()
    try:
        return Entry(folder, record, folder.result(), failure, modified)
    except DamagedFileError as error:
        reason = f"{error}; its command, typed again, makes it anew"
        return Entry(folder, record, None, reason, modified)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # a run in progress has just renamed it
        return 0.0


def reasons(entries: Iterable[Entry]) -> list[str]:
    """Return a line on each run that diverged or failed."""
    return [
        f"{entry.folder.name} {entry.result or f'failed: {entry.failure}'}"
        for entry in entries
        if entry.state in ("diverged", "failed")
    ]


def matching(entries: Iterable[Entry], wanted: Mapping[str, str]) -> list[Entry]:
    """Return the entries whose factors, `state` and `study` are as `wanted`.

    Values are compared as they are typed; `4..32` is any number from 4 to 32, `1,2` one of the two.
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
    return typed(value) == wanted or typed(value) in wanted.split(",")
