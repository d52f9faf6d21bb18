"""Cells whose processes are tiny scripts in place of trainings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from omegaconf import DictConfig

from normexp import build
from normexp.runs.folder import RunFolder
from normexp.sweep.cell import Cell
from normexp.sweep.pool import Task

Compose = Callable[..., DictConfig]

NONE_IS_BAD = "print(json.dumps([None] * len(given['cells'])))"
FINISH = f"""
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]}
from helpers.results import result
from normexp.runs.folder import RunFolder
from normexp.runs.result import Timing
RunFolder(Path(folder)).finish(replace(result(0.5), timing=Timing(60.0, (60.0,), 1.0)))
"""


def child(check: str = NONE_IS_BAD) -> list[str]:
    """In the place of `normexp child`: does the task's `script`, or the `check` of cells."""
    program = "import json; given = json.loads(input())['given']; exec(given.get('script', CHECK))"
    # -S and -E leave out what an interpreter needs no time for.
    return [sys.executable, "-S", "-E", "-c", f"CHECK = {check!r}; {program}"]


def script(text: str) -> Task:
    """The task of such a child."""
    return Task("script", {"script": dedent(text)})


@dataclass(frozen=True)
class StandIn(Cell):
    """Its first argument is a script, run with the name `folder` for its run's folder."""

    def task(self, threads: int | None) -> Task:
        return script(f"folder = {str(self.folder.path)!r}\n{dedent(self.arguments[0])}")


def stand_in(compose: Compose, outputs: Path, overrides: str, text: str = FINISH) -> StandIn:
    """The cell with the `overrides`, separated by spaces, carried out by a script."""
    cfg = compose("data=generated", "runtime.device=cpu", "study=trial", *overrides.split())
    cfg.runtime.outputs = str(outputs)
    spec, runtime = build.run_spec(cfg)
    return StandIn(overrides, spec, runtime, RunFolder(outputs / "runs" / spec.name), (text,))
