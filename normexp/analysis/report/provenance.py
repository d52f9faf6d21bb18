"""What the numbers come from: every run with its state and command, machines and versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product

from normexp.analysis.render.document import NONE, Section, Table, number, plural
from normexp.analysis.report.blocks import Block, told
from normexp.analysis.rows import Row, accuracy


def state_section(rows: Sequence[Row], blocks: Sequence[Block]) -> Section:
    """Return how many runs finished, and those that did not with the reason."""
    counts = Counter(row.state for row in rows)
    ended = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    section = Section("State of the runs", [f"{plural(len(rows), 'run')}: {ended}."])
    missing = [
        " ".join([block.title, *(f"{k}={told(v)}" for k, v in zip(block.by, cell, strict=False))])
        for block in blocks
        for cell in product(block.series, block.columns)
        if cell not in block.cells
    ]
    if missing:
        section.words.append(f"No run at all: {'; '.join(each.strip() for each in missing)}.")
    lost = [
        [row.name, row.state, _reason(row), row.command] for row in rows if row.state != "finished"
    ]
    if lost:
        head = ["run", "state", "reason", "goes on with"]
        section.tables.append(
            Table("unfinished", "Diverged, failed and unfinished runs.", head, lost)
        )
    return section


def _reason(row: Row) -> str:
    if row.state == "diverged" and row.result:
        return f"the loss was not finite after {plural(row.result.steps, 'step')}"
    return row.failure or NONE


def origin_section(rows: Sequence[Row]) -> Section:
    """Return machines, versions and the command of every run."""
    environments = Counter(
        tuple(asdict(row.result.environment).items()) for row in rows if row.result is not None
    )
    keys = dict.fromkeys(key for environment in environments for key, _ in environment)
    table = Table(
        "machines",
        "Versions and machines that the runs were made with.",
        ["runs", *keys],
        [
            [str(count), *(str(dict(environment).get(key, NONE)) for key in keys)]
            for environment, count in environments.most_common()
        ],
    )
    section = Section("Where the numbers come from", tables=[table] if environments else [])
    if len(environments) > 1:
        section.words.append(
            "The runs were made under more than one environment; seconds and images/s of "
            "different rows of this table do not compare."
        )
    runs = Table(
        "runs",
        "Every run: its accuracy in percent, and the command that makes it again.",
        ["run", "state", "accuracy", "command"],
        [[row.name, row.state, number(accuracy(row), 2), row.command] for row in rows],
    )
    section.sections.append(Section("Every run and its command", tables=[runs]))
    return section
