"""`normexp runs`: list the runs in `outputs/`. Standard library only, to answer at once."""

import json
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path

from normexp.commands.found import tell
from normexp.errors import UserError, suggestion, visible
from normexp.kinds import typed
from normexp.runs import reference
from normexp.runs.catalogue import Entry, matching, read_entry, read_runs, reasons
from normexp.runs.folder import RunFolder
from normexp.runs.lock import InProgressError, locked
from normexp.runs.overview import Overview
from normexp.runs.text import csv_text
from normexp.settings import SHIPPED

HELP = """\
usage: normexp runs [key=value ...] [outputs=<folder>, or [<one>,<other>]]

A row for each cell (runs that differ in the seed only): mean ± standard
deviation over seeds of the accuracy on the test images, in per cent.

key=value keeps the runs with that setting: norm=batch, norm=batch,both,
batch_size=4..32, optimizer.lr=0.1, seed=0, state=diverged, study=quickstart;
study=reference lists the runs that normexp ships.
columns=norm,epochs  these settings are columns; else those that tell runs apart
sort=accuracy        orders the rows by a column; sort=-accuracy: the best first
format=csv           or json: for other programs, accuracies as shares

clean=failed, unfinished or diverged removes such runs, clean=<name> a run, with
* for several, once you have confirmed it; key=value keeps the others. yes=true
confirms beforehand, for scripts. A run in progress is kept."""

FORMATS = ("table", "csv", "json")
MOST_VALUES = 8
STATES = ("failed", "unfinished", "diverged")
"""Those of a run that has nothing to keep; a finished one is removed by its name alone."""


def main() -> None:
    """Print the table of the runs that the arguments select, or remove those runs."""
    arguments = sys.argv[1:]
    if set(arguments) & {"-h", "--help"}:
        print(HELP)
        return
    if odd := [argument for argument in arguments if "=" not in argument]:
        raise UserError(f"'{odd[0]}' is not of the form key=value, such as norm=batch")
    wanted = dict(argument.split("=", 1) for argument in arguments)
    place = wanted.pop("outputs", "outputs")
    is_list = place.startswith("[") and place.endswith("]")
    places = place[1:-1].split(",") if is_list else [place]
    outputs = [Path(each.strip()).expanduser() for each in places]
    columns = [key.strip() for key in wanted.pop("columns", "").split(",") if key.strip()]
    sort, form = wanted.pop("sort", ""), wanted.pop("format", "table")
    if form not in FORMATS:
        raise UserError(f"format={form}: one of {', '.join(FORMATS)} is needed")
    which, sure = wanted.pop("clean", None), wanted.pop("yes", "false")
    if wanted.get("study") == SHIPPED:
        del wanted["study"]
        entries, which = [row.entry for row in reference.rows()], None
    else:
        found = read_runs(*outputs)
        tell(found.problems)
        entries = found.entries
        folders = [folder for each in outputs for folder in RunFolder.all_below(each)]
        if which is not None and folders:
            known = {entry.folder for entry in entries}
            unreadable = [] if wanted else [folder for folder in folders if folder not in known]
            clean(matching(entries, wanted), unreadable, which, sure == "true")
            return
    if not entries:
        raise UserError(
            f"there is no run in {place}; make one: normexp train, or see those that normexp "
            f"ships: normexp runs study={SHIPPED}"
        )
    selected = matching(entries, wanted)
    if not selected:
        hint = why_none(entries, wanted)
        raise UserError(f"no run of {len(entries)} fits {' '.join(arguments)}: {hint}")
    overview = Overview.of(selected, columns, sort)
    if form == "table":
        width = shutil.get_terminal_size().columns
        print("\n".join([overview.table(width), *reasons(selected)]))
    elif form == "csv":
        print(csv_text(overview.rows()), end="")
    else:
        print(json.dumps(overview.rows(), indent=1))


def why_none(entries: list[Entry], wanted: dict[str, str]) -> str:
    """Return what is wrong with a filter that no run fits, and what may be meant."""
    keys = sorted({key for entry in entries for key in entry.factors} | {"state", "study"})
    for key, value in wanted.items():
        if key not in keys:
            return f"there is no setting '{key}'; {suggestion(key, keys, MOST_VALUES)}"
        if matching(entries, {key: value}):
            continue
        values = {
            "study": {study for entry in entries for study in entry.record.studies},
            "state": {entry.state for entry in entries},
        }.get(key, {typed(entry.factors.get(key)) for entry in entries})
        return f"none has {key}={value}; {suggestion(value, sorted(values), MOST_VALUES)}"
    return "none fits them all"


def clean(entries: list[Entry], unreadable: list[RunFolder], which: str, sure: bool) -> None:
    """Remove those of the runs whose state or name is as asked, once the user has confirmed it.

    Of the `unreadable` ones only the name is known.
    """
    by_state = which in STATES
    folders = [entry.folder for entry in entries if entry.state == which]
    if not by_state:
        named = [entry.folder for entry in entries] + unreadable
        folders = [folder for folder in named if fnmatch(folder.name, which)]
    if not folders:
        if by_state:
            print(f"no {which} run to remove")
            return
        states = f"one of {', '.join(STATES)}"
        raise UserError(f"clean={which}: {states} or a run's name, with * for several, is needed")
    print("\n".join(visible(str(folder.path)) for folder in folders))
    runs = f"{len(folders)} {which} runs" if by_state else f"{len(folders)} runs"
    if not sure and not _is_confirmed(f"remove {runs}? [y/N] "):
        print("nothing was removed")
        return
    for folder in folders:
        try:
            with locked(folder.path.resolve()):  # also where a link to it is removed
                _remove(folder, which if by_state else None)
        except InProgressError as error:
            print(f"kept: {error}")


def _remove(folder: RunFolder, state: str | None) -> None:
    if state is not None and read_entry(folder).state != state:
        print(f"kept, as it has gone on meanwhile: {folder.path}")
        return
    if folder.path.is_symlink():
        folder.path.unlink()
        return
    # What a break leaves must not pass for a finished run.
    if folder.result_file.is_file():
        folder.result_file.unlink()
    shutil.rmtree(folder.path)


def _is_confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to confirm on; add yes=true")
    return input(question).strip().lower() in ("y", "yes")
