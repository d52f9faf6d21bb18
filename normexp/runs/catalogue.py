"""All runs below a folder, and their cells: runs that differ in the seed only."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.record import RunRecord
from normexp.runs.result import RunResult
from normexp.runs.spec import Settings
from normexp.runs.text import aligned
from normexp.settings import typed

COLUMNS = ("model", "norm", "batch_size", "contrast")


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
    """Return the entries whose factors, `state` and `study` are as `wanted`, compared as typed."""
    return [
        entry
        for entry in entries
        if all(
            value in entry.record.studies
            if key == "study"
            else value == (entry.state if key == "state" else typed(entry.factors.get(key)))
            for key, value in wanted.items()
        )
    ]


def table(entries: Sequence[Entry]) -> str:
    """Return a row a cell: the factors that tell cells apart, and what the runs found."""
    keys = [key for key in _all_keys(entries) if key != "seed" and _is_shown(entries, key)]
    cells: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        cells.setdefault(tuple(entry.factors.get(key) for key in keys), []).append(entry)
    rows = [[*map(typed, values), *_found(group)] for values, group in cells.items()]
    return aligned([[*keys, "seeds", "test accuracy", "at contrast 5", "age", "state"], *rows])


def _all_keys(entries: Sequence[Entry]) -> list[str]:
    keys = dict.fromkeys(COLUMNS)
    for entry in entries:
        keys.update(dict.fromkeys(entry.factors))
    return list(keys)


def _is_shown(entries: Sequence[Entry], key: str) -> bool:
    varies = len({entry.factors.get(key) for entry in entries}) > 1
    # What follows from the choice of a part is said by the part's name.
    part, _, rest = key.partition(".")
    by_name: dict[object, set[object]] = {}
    for entry in entries:
        by_name.setdefault(entry.factors.get(part), set()).add(entry.factors.get(key))
    follows = bool(rest) and all(len(values) == 1 for values in by_name.values())
    return key in COLUMNS or (varies and not follows)


def _found(group: Sequence[Entry]) -> list[str]:
    tests = [entry.result.test for entry in group if entry.result and entry.result.test]
    states = [entry.state for entry in group]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return [
        str(len(group)),
        _percent([test.accuracy for test in tests]),
        _percent([test.contrast["5"] for test in tests]),
        _age(time.time() - max(entry.modified for entry in group)),
        ", ".join(counts) if len(group) > 1 else states[0],
    ]


def _percent(shares: Sequence[float]) -> str:
    if not shares:
        return "–"
    spread = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{spread} %"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
