"""One cell of a sweep: a run, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normexp.runs.folder import RunFolder
from normexp.runs.result import RunResult
from normexp.runs.spec import RunSpec, Runtime
from normexp.sweep.pool import NORMEXP


@dataclass(frozen=True)
class Cell:
    """A run that a sweep asks for."""

    label: str
    """What tells it from the other cells: `norm=batch seed=1`."""
    spec: RunSpec
    runtime: Runtime
    folder: RunFolder
    arguments: tuple[str, ...]
    """What `normexp train` needs to do this run alone."""

    @property
    def is_finished(self) -> bool:
        """Whether its result is there."""
        return self.folder.is_finished()

    def result(self) -> RunResult | None:
        """Return its result, None where there is none that is whole."""
        return self.folder.result() if self.is_finished else None

    @property
    def has_begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return bool(self.folder.checkpoints)

    @property
    def log(self) -> Path:
        """What its process writes to the screen that it does not have."""
        return self.folder.console

    def command(self, threads: int | None) -> list[str]:
        """Return the command of its process, which ends with this one (`child.py`)."""
        return [*NORMEXP, "train", *self.arguments, *_threads(threads), "hydra.mode=RUN"]

    def by_hand(self, threads: int | None) -> str:
        """Return the command that does the same on a terminal."""
        return shlex.join(["normexp", "train", *self.arguments, *_threads(threads)])


def _threads(threads: int | None) -> list[str]:
    return [] if threads is None else [f"runtime.threads={threads}"]


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each cell those of its overrides that not all cells have."""
    common = set(overrides[0]).intersection(*overrides[1:]) if overrides else set()
    return [" ".join(each for each in cell if each not in common) for cell in overrides]
