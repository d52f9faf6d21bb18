"""When a command is hit: at a random moment of a stretch of its work that is drawn first."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .commands import Command

STRETCHES = {
    "before its first step": 0.4,
    "in its first epoch": 0.1,
    "as it saved": 0.003,
    "in its second epoch": 0.1,
    "in evaluation": 0.05,
    "after its weights": 0.003,
}
"""How far into each a hit may come, in seconds."""


def logs(where: Path) -> dict[Path, str]:
    """What the logs of the runs below a folder say."""
    return {file: file.read_text() for file in where.glob("outputs/runs/*/train.log")}


def stretches(where: Path, before: dict[Path, str]) -> Iterator[str]:
    """In what the runs below a folder are, those that have been finished left out.

    `before` is what the logs said when they were taken up.
    """
    now = logs(where)
    for log, text in now.items():
        names = {file.name for file in log.parent.iterdir()}
        told = text[len(before.get(log, "")) :]
        if any(name.endswith(".tmp") for name in names):
            yield "as it saved"
        if "result.json" in names:
            continue
        if "weights.pt" in names:
            yield "after its weights"
        elif "epoch 2: " in told:
            yield "in evaluation"
        elif "epoch 1: " in told or "going on" in told:
            yield "in its second epoch"
        elif told:
            yield "in its first epoch"
        else:
            yield "before its first step"
    if not now:
        yield "before its first step"


def hit(
    where: Path, command: Command, number: int, moments: random.Random, at_cells: bool = True
) -> tuple[int, str]:
    """Send a signal to `command` or one of its cells; return to which process, and in what it was.

    The process is 0 if the command ends before.
    """
    aim, before = moments.choice(list(STRETCHES)), logs(where)
    while command.poll() is None and aim not in stretches(where, before):
        time.sleep(0.001)
    time.sleep(moments.uniform(0, STRETCHES[aim]))
    cells = command.cells()
    victim = moments.choice([command.pid, *(cells if at_cells else ())])
    seen = ", ".join(sorted(set(stretches(where, before)))) or "at its end"
    if command.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(victim, number)
            return victim, seen
    return 0, seen
