"""`normexp runs`: list the runs in `outputs/`. Standard library only, to answer at once."""

import shutil
import sys
from pathlib import Path

from normexp.errors import UserError
from normexp.runs import reference
from normexp.runs.catalogue import Entry, catalogue, matching, read_entry, reasons, table
from normexp.runs.folder import RunFolder
from normexp.runs.lock import InProgressError, locked
from normexp.settings import SHIPPED

HELP = """\
usage: normexp runs [key=value ...] [clean=<state>] [yes=true]
                    [outputs=<folder> or outputs=[<folder>,<folder>]]

A row for each cell (runs that differ in the seed only), mean ± standard deviation over seeds.
key=value keeps the runs with that setting: norm=batch, batch_size=4, optimizer.lr=0.1,
seed=0, state=diverged, study=quickstart; study=reference lists the runs that normexp ships.
clean=failed, clean=unfinished or clean=diverged removes such runs, once you have confirmed it;
yes=true confirms beforehand, for scripts. A run in progress is kept."""

REMOVABLE = ("failed", "unfinished", "diverged")


def main() -> None:
    """Print the table of the runs that the arguments select, or remove those runs."""
    arguments = sys.argv[1:]
    if set(arguments) & {"-h", "--help"}:
        print(HELP)
        return
    if odd := [argument for argument in arguments if "=" not in argument]:
        raise UserError(f"'{odd[0]}' is not of the form key=value, such as norm=batch")
    wanted = dict(argument.split("=", 1) for argument in arguments)
    typed = wanted.pop("outputs", "outputs")
    is_list = typed.startswith("[") and typed.endswith("]")
    outputs = list(map(Path, typed[1:-1].split(",") if is_list else [typed]))
    removed_state, sure = wanted.pop("clean", None), wanted.pop("yes", "false")
    if wanted.get("study") == SHIPPED:
        del wanted["study"]
        entries, removed_state = [row.entry for row in reference.rows()], None
    else:
        entries = catalogue(*outputs)
    if not entries:
        raise UserError(
            f"there is no run in {typed}; make one: normexp train, or see those that normexp "
            f"ships: normexp runs study={SHIPPED}"
        )
    if removed_state is not None:
        clean(matching(entries, wanted), removed_state, is_confirmed=sure == "true")
        return
    selected = matching(entries, wanted)
    if not selected:
        keys = sorted({key for entry in entries for key in entry.factors} | {"state", "study"})
        unknown = [key for key in wanted if key not in keys]
        hint = f"there is no setting '{unknown[0]}'" if unknown else "none is left by the filter"
        raise UserError(f"no run of {len(entries)} fits {' '.join(arguments)}: {hint}")
    print("\n".join([table(selected), *reasons(selected)]))


def clean(entries: list[Entry], state: str, is_confirmed: bool) -> None:
    """Remove those of the `entries` in `state`, once the user has seen and confirmed them."""
    if state not in REMOVABLE:
        raise UserError(f"clean={state}: one of {', '.join(REMOVABLE)} is needed")
    doomed = [entry for entry in entries if entry.state == state]
    if not doomed:
        print(f"no {state} run to remove")
        return
    print("\n".join(str(entry.folder.path) for entry in doomed))
    if not is_confirmed and not _is_confirmed(f"remove {len(doomed)} {state} runs? [y/N] "):
        print("nothing was removed")
        return
    for entry in doomed:
        try:
            with locked(entry.folder.path):
                _remove(entry.folder, state)
        except InProgressError as error:
            print(f"kept: {error}")


def _remove(folder: RunFolder, state: str) -> None:
    if read_entry(folder).state != state:
        print(f"kept, as it has gone on meanwhile: {folder.path}")
        return
    # What a break leaves must not pass for a finished run.
    folder.result_file.unlink(missing_ok=True)
    shutil.rmtree(folder.path)


def _is_confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to confirm on; add yes=true")
    return input(question).strip().lower() in ("y", "yes")
