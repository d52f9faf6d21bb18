"""The runs that normexp ships (docs/results/data.md).

usage: scripts/reference list                      the runs in the file, by study
       scripts/reference add <outputs> ... note=<what is new> [study=<name>,<name>]

`add` takes the finished runs below each folder (of these studies only, where they are given) with
their lens, the learning rates in its tuned/ (beside those of other cells that the file has) and the
measurements in its claims/, writes the file anew, raises its version and notes the change in
docs/results/data.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from normexp.runs import reference
from normexp.runs.catalogue import catalogue
from normexp.runs.files import read_record
from normexp.runs.plain import to_plain
from normexp.runs.record import Measurements
from normexp.runs.reference import About, Row
from normexp.runs.result import RunResult
from normexp.runs.trimmed import row_of, trimmed_command
from normexp.tuned import read_tuned

PAGE = Path(__file__).parents[1] / "docs" / "results" / "data.md"


def main() -> None:
    """Do what the arguments say."""
    word, *arguments = sys.argv[1:] or ["help"]
    if word == "list":
        show()
    elif word == "add":
        options = dict(each.split("=", 1) for each in arguments if "=" in each)
        folders = [Path(each) for each in arguments if "=" not in each]
        if not folders or "note" not in options:
            sys.exit(__doc__)
        add(folders, options["note"], set(filter(None, options.get("study", "").split(","))))
    else:
        sys.exit(__doc__)


def show() -> None:
    """Print the number of runs of each study, and the machines."""
    rows, about = reference.rows(), reference.about()
    size = reference.FILE.stat().st_size / len(rows)
    print(f"version {about.version}: {len(rows)} runs, {size:,.0f} bytes a run")
    studies = Counter(study for row in rows for study in row.record.studies)
    for study, number in sorted(studies.items()):
        own = [row for row in rows if study in row.record.studies]
        hours = sum(row.result.timing.seconds for row in own) / 3600
        machines = {f"{e.processor} {e.instructions}" for e in (r.result.environment for r in own)}
        print(f"{study}: {number} runs, {hours:.1f} h, {', '.join(sorted(machines))}")
    print(f"tuned: {', '.join(sorted(about.tuned)) or 'none'}")
    print(f"measured: {', '.join(each.claim for each in about.measured) or 'none'}")


def add(folders: list[Path], note: str, studies: set[str]) -> None:
    """Write the file with what is below the folders, unless it has all of it."""
    is_new = not reference.FILE.exists()
    before = (About(), []) if is_new else (reference.about(), reference.rows())
    rows = {row.name: row for row in before[1]}
    for entry in catalogue(*folders):
        if entry.result and (not studies or studies & {*entry.record.studies}):
            row = row_of(replace(entry, result=with_instructions(entry.result)))
            rows[row.name] = joined(rows[row.name], row) if row.name in rows else row
    tuned, measured = dict(before[0].tuned), {each.claim: each for each in before[0].measured}
    for folder in folders:
        for file in sorted(folder.glob("tuned/*.yaml")):
            new = json.loads(json.dumps(to_plain(read_tuned(file))))["cells"]
            old = tuned.get(file.stem, {"cells": []})["cells"]
            cells = {cell["key"]: cell for cell in (*old, *new)}
            command = f"normexp tune study={file.stem}"
            tuned[file.stem] = {"command": command, "cells": [*cells.values()]}
        for file in sorted(folder.glob("claims/*.json")):
            each = read_record(file, Measurements)
            measured[each.claim] = replace(each, command=trimmed_command(each.command))
    about = replace(before[0], tuned=tuned, measured=tuple(measured[k] for k in sorted(measured)))
    if (about, [rows[name] for name in sorted(rows)]) == before:
        print("nothing is new")
        return
    about = replace(about, version=about.version + 1)
    reference.write(about, list(rows.values()))
    new = len(rows) - len(before[1])
    line = f"| {about.version} | {time.strftime('%F')} | {len(rows)} | {note} |\n"
    PAGE.write_text(PAGE.read_text(encoding="utf-8").rstrip("\n") + "\n" + line, encoding="utf-8")
    print(f"version {about.version}: {new} more runs, {reference.FILE.stat().st_size:,} bytes")


def joined(old: Row, new: Row) -> Row:
    """Return the row of a run that is in the file, with what its folder has beside.

    That is a study or a lens: a folder into which a shipped run was put knows one study alone.
    """
    studies = tuple(dict.fromkeys([*old.record.studies, *new.record.studies]))
    record = replace(old.record, studies=studies)
    return replace(old, record=record, lens=new.lens or old.lens)


def with_instructions(result: RunResult) -> RunResult:
    """Return a result that says the CPU's instruction set, which the first records do not.

    It is taken to be this machine's where the processor and torch are.
    """
    then = result.environment
    here = str(torch.cpu.get_capabilities().get("cpu_name"))
    if then.instructions or (then.processor, then.torch) != (here, str(torch.__version__)):
        return result
    capability = torch.backends.cpu.get_cpu_capability()
    return replace(result, environment=replace(then, instructions=capability))


main()
