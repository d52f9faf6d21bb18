"""All runs below a folder, and their cells: runs that differ in the seed only."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.outcome import failure, final_words

COLUMNS = ("model", "norm", "batch_size", "contrast")
# What an identity column leaves out: it would say the same thing twice, or where things lie.
SILENT = ("_target_", "_partial_", "root", "cache_dir", "content")


@dataclass(frozen=True)
class Entry:
    """One run on disk."""

    folder: RunFolder
    factors: Mapping[str, Any]
    """Its settings by dotted key; a group's name stands under the group's key."""
    studies: tuple[str, ...]
    result: Mapping[str, Any] | None
    failure: str | None
    """Why it failed when it was last tried."""
    modified: float
    """When something last happened to it, in seconds since 1970."""

    @property
    def state(self) -> str:
        """`finished`, `diverged`, `failed`, or `unfinished`."""
        if self.result is not None:
            return str(self.result["outcome"])
        return "unfinished" if self.failure is None else "failed"


def catalogue(outputs: Path) -> list[Entry]:
    """Return the runs below `outputs`, by name."""
    entries = []
    for record in sorted(outputs.glob("runs/*/run.json")):
        try:
            entries.append(read_entry(RunFolder(record.parent)))
        except DamagedFileError as error:
            print(f"{error}; its command, typed again, mends it", file=sys.stderr)
    return entries


def read_entry(folder: RunFolder) -> Entry:
    """Return what the folder of a run says about it."""
    record = folder.record()
    modified = max(_modified(file) for file in folder.path.iterdir())
    settings = dict(flat(record["settings"], SILENT))
    studies = tuple(record["studies"])
    return Entry(folder, settings, studies, folder.result(), failure(folder), modified)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # a run in progress has just renamed it
        return 0.0


def reasons(entries: Iterable[Entry]) -> list[str]:
    """Return a line on each run that diverged or failed."""
    return [
        f"{entry.folder.path.name} {final_words(entry.result)}"
        if entry.result is not None
        else f"{entry.folder.path.name} failed: {entry.failure}"
        for entry in entries
        if entry.state in ("diverged", "failed")
    ]


def flat(
    settings: Mapping[str, Any], without: Collection[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield settings by dotted key, but for keys whose last part is in `without`.

    A group's name stands under the group's key.
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if not prefix and "name" in value:
                yield key, value["name"]
            yield from flat(value, without, f"{prefix}{key}.")
        elif key not in without and not (key == "name" and prefix):
            yield prefix + key, value


def matching(entries: Iterable[Entry], wanted: Mapping[str, str]) -> list[Entry]:
    """Return the entries whose factors, `state` and `study` are as `wanted`, compared as text."""
    return [
        entry
        for entry in entries
        if all(
            value in entry.studies
            if key == "study"
            else value == (entry.state if key == "state" else str(entry.factors.get(key)))
            for key, value in wanted.items()
        )
    ]


def table(entries: list[Entry]) -> str:
    """Return a row a cell: the factors that tell cells apart, and what the runs found."""
    keys = [key for key in _all_keys(entries) if key != "seed" and _is_shown(entries, key)]
    cells: dict[str, list[Entry]] = {}
    for entry in entries:
        cells.setdefault(repr([entry.factors.get(key) for key in keys]), []).append(entry)
    rows = [
        [*(str(group[0].factors.get(key)) for key in keys), *_found(group)]
        for group in cells.values()
    ]
    return _aligned([[*keys, "seeds", "test accuracy", "at contrast 5", "age", "state"], *rows])


def _all_keys(entries: list[Entry]) -> list[str]:
    keys = dict.fromkeys(COLUMNS)
    for entry in entries:
        keys.update(dict.fromkeys(entry.factors))
    return list(keys)


def _is_shown(entries: list[Entry], key: str) -> bool:
    varies = len({repr(entry.factors.get(key)) for entry in entries}) > 1
    # What follows from the choice of a part is told by the part's name.
    part, _, rest = key.partition(".")
    by_name: dict[Any, set[str]] = {}
    for entry in entries:
        by_name.setdefault(entry.factors.get(part), set()).add(repr(entry.factors.get(key)))
    follows = bool(rest) and all(len(values) == 1 for values in by_name.values())
    return key in COLUMNS or (varies and not follows)


def _found(group: list[Entry]) -> list[str]:
    tests = [entry.result["test"] for entry in group if entry.result and entry.result["test"]]
    states = [entry.state for entry in group]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return [
        str(len(group)),
        _percent([test["accuracy"] for test in tests]),
        _percent([test["contrast"]["5"] for test in tests]),
        _age(time.time() - max(entry.modified for entry in group)),
        ", ".join(counts) if len(group) > 1 else states[0],
    ]


def _percent(shares: list[float]) -> str:
    if not shares:
        return "–"
    spread = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{spread} %"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
