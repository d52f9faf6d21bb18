"""What the numbers come from: every run with its state and command, machines and versions."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import NONE, Section, Table, number
from normexp.analysis.report.blocks import Block
from normexp.analysis.rows import Run
from normexp.analysis.scores import counts
from normexp.kinds import typed
from normexp.runs.result import Environment
from normexp.runs.text import plural


def state_section(runs: Sequence[Run], blocks: Sequence[Block]) -> Section:
    """Return how many runs finished, and those that did not with the reason."""
    counts = Counter(run.state for run in runs)
    ended = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    section = Section("State of the runs", [f"{plural(len(runs), 'run')}: {ended}."])
    section.words += diverged_words(blocks)
    missing = [
        " ".join([block.title, *(f"{k}={typed(v)}" for k, v in zip(block.by, cell, strict=False))])
        for block in blocks
        for cell in block.places
        if cell not in block.cells
    ]
    if missing:
        section.words.append(f"No run at all: {'; '.join(each.strip() for each in missing)}.")
    lost = [
        [run.name, run.state, _reason(run), run.command] for run in runs if run.state != "finished"
    ]
    if lost:
        head = ["run", "state", "reason", "goes on with"]
        section.tables.append(
            Table("unfinished", "Diverged, failed and unfinished runs.", head, lost)
        )
    return section


def _reason(run: Run) -> str:
    if run.state == "diverged" and run.result:
        return f"the loss was not finite after {plural(run.result.steps, 'step')}"
    return run.failure or NONE


def diverged_words(parts: Sequence[Block]) -> Iterator[str]:
    """Yield how many runs of which cells diverged."""
    lost = [
        f"{block.title} {block.place(*at)} {count} of {len(runs)}".strip()
        for block in parts
        for at, runs in block.cells.items()
        if (count := counts(runs)[0])
    ]
    if lost:
        yield f"Diverged, which counts as chance: {'; '.join(lost)}."


def date(run: Run) -> str:
    """Return the day when something last happened to a run."""
    return time.strftime("%F", time.localtime(run.modified))


def commands_section(runs: Sequence[Run]) -> Section:
    """Return machines, versions and the command of every run."""
    environments = Counter(run.result.environment for run in runs if run.result is not None)
    table = Table(
        "machines",
        "Versions and machines that the runs were made with.",
        ["runs", *(field.name for field in fields(Environment))],
        [[str(n), *map(str, asdict(each).values())] for each, n in environments.most_common()],
    )
    section = Section("Commands", tables=[table] if environments else [])
    if len(environments) > 1:
        section.words.append(
            "The runs were made under more than one environment; seconds and images/s of "
            "different rows of this table do not compare."
        )
    every = Table(
        "runs",
        "Every run: its accuracy in percent, and the command that makes it again.",
        ["run", "date", "state", "accuracy", "command"],
        [[run.name, date(run), run.state, number(accuracy(run), 2), run.command] for run in runs],
    )
    section.tables.append(every)
    return section
