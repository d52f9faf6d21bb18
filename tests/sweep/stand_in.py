"""Cells whose processes are tiny commands in place of trainings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from omegaconf import DictConfig

from normexp import build
from normexp.runs.folder import RunFolder
from normexp.sweep.cell import Cell

Compose = Callable[..., DictConfig]

# -S and -E leave out what an interpreter needs no time for.
PYTHON = [sys.executable, "-S", "-E", "-c"]
CONTENT = [*PYTHON, "import json; print(json.dumps([None] * len(json.loads(input()))))"]
"""A checker that finds nothing."""

FINISH = f"""
import pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from normexp.runs.files import write_json
folder = pathlib.Path(folder)
test = {{"accuracy": 0.5, "contrast": {{"5": 0.25}}}}
timing = {{"seconds": 60.0}}
result = {{"outcome": "finished", "steps": 8, "test": test, "timing": timing}}
settings = {{"model": {{"name": "cnn"}}, "norm": {{"name": "batch"}}, "seed": 0}}
write_json(folder / "run.json", {{"settings": settings, "studies": []}})
write_json(folder / "result.json", result)
"""


class StandIn(Cell):
    """Its first argument is a script, run with the name `folder` for its run's folder."""

    def command(self, threads: int | None) -> list[str]:
        script = f"folder = {str(self.folder.path)!r}\n{dedent(self.arguments[0])}"
        return [*PYTHON, script]


def stand_in(compose: Compose, outputs: Path, overrides: str, script: str = FINISH) -> StandIn:
    """The cell with the `overrides`, separated by spaces, carried out by `script`."""
    where = (f"runtime.outputs={outputs}", "runtime.device=cpu", "study=trial")
    spec, runtime = build.run_spec(compose("data=generated", *where, *overrides.split()))
    return StandIn(overrides, spec, runtime, RunFolder(outputs / "runs" / spec.name), (script,))
