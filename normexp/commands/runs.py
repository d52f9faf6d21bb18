"""`normexp runs`: what lies under `outputs/`. Standard library only, so that it answers at once."""

from __future__ import annotations

import sys
from pathlib import Path

from normexp.errors import UserError
from normexp.runs.catalogue import catalogue, matching, table

HELP = """\
usage: normexp runs [key=value ...] [outputs=<folder>]

A row for each cell (runs that differ in the seed only), mean ± standard deviation over seeds.
key=value keeps the runs with that setting: norm=batch, batch_size=4, optimizer.lr=0.1,
seed=0, state=diverged, study=quickstart."""


def main() -> None:
    """Print the table of the runs that the arguments select."""
    arguments = sys.argv[1:]
    if set(arguments) & {"-h", "--help"}:
        print(HELP)
        return
    if odd := [argument for argument in arguments if "=" not in argument]:
        raise UserError(f"'{odd[0]}' is not of the form key=value, such as norm=batch")
    wanted = dict(argument.split("=", 1) for argument in arguments)
    outputs = Path(wanted.pop("outputs", "outputs"))
    entries = catalogue(outputs)
    if not entries:
        raise UserError(f"there is no run in {outputs}; make one: normexp train")
    selected = matching(entries, wanted)
    if not selected:
        keys = sorted({key for entry in entries for key in entry.factors} | {"state", "study"})
        unknown = [key for key in wanted if key not in keys]
        hint = f"there is no setting '{unknown[0]}'" if unknown else "none is left by the filter"
        raise UserError(f"no run of {len(entries)} fits {' '.join(arguments)}: {hint}")
    print(table(selected))
