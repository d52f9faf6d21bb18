"""The runs that a command is about, and lines on the screen for records that are wrong."""

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from normexp.analysis.rows import Run
from normexp.errors import UserError, suggestion, visible
from normexp.runs.catalogue import (
    Entry,
    matching,
    read_entry,
    read_runs,
    require_no_part,
    unreadable,
)
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder

FEW = 3
"""Names of runs, of which there may be thousands, in a line."""


def tell(lines: Iterable[str]) -> None:
    """Print lines on files that are wrong."""
    for line in lines:
        print(visible(line), file=sys.stderr)


def tell_lenses(runs: Iterable[Run]) -> None:
    """Print a line on each run whose `lens.json` cannot be read."""
    tell(filter(None, (run.problem_of_lens() for run in runs)))


def named(run: str | None, study: str | None, outputs: Path) -> list[Entry]:
    """Return the runs that the settings name; raises UserError where there is none."""
    if (run is None) == (study is None):
        raise UserError("name the runs: run=<folder or name, with * for several> or study=<name>")
    if study is not None:
        found_runs = read_runs(outputs)
        tell(found_runs.problems)
        entries = found_runs.entries
        studies = {each for entry in entries for each in entry.record.studies}
        if found := matching(entries, {"study": str(study)}):
            return found
        hint = suggestion(str(study), studies) if studies else "no run is of any study"
        raise UserError(f"study={study}: no run in {outputs} is of it; {hint}")
    pattern = str(run).rstrip("/")
    path = Path(pattern).expanduser()
    places = [(path.parent, path.name), (outputs / "runs", pattern)]
    folders = [
        folder
        for place, name in places
        for folder in map(RunFolder, sorted(place.glob("*")))
        if fnmatch(folder.name, name) and folder.has_record()
    ]
    if not folders:
        require_no_part(outputs)
        known = [folder.name for folder in RunFolder.all_below(outputs)]
        hint = suggestion(path.name, known, FEW) if known else f"{outputs} has none"
        raise UserError(f"run={run}: there is no such run; {hint}")
    entries, problems = [], []
    for folder in {f.path.resolve(): f for f in folders}.values():
        try:
            entries.append(entry := read_entry(folder))
            problems += [entry.problem] if entry.problem else []
        except (OSError, DamagedFileError) as error:
            problems.append(f"left out: {unreadable(error)}")
    if not entries:
        raise UserError(problems[0])
    tell(problems)
    return entries


def finished(entries: Sequence[Entry]) -> list[Entry]:
    """Return those that are finished, and tell of the others."""
    good = [entry for entry in entries if entry.state == "finished"]
    for entry in entries:
        if entry.state != "finished" and good:
            print(f"left out ({entry.state}): {entry.folder.path}", file=sys.stderr)
    if not good:
        states = ", ".join(sorted({entry.state for entry in entries}))
        raise UserError(f"{entries[0].folder.name}: {states}; only a finished run can be evaluated")
    return good
