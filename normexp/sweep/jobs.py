"""Cells as jobs of a cluster. To a sweep they are what a `Pool` of processes is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from math import inf
from pathlib import Path
from signal import SIGTERM

from normexp.sweep.plan import Plan
from normexp.sweep.pool import Tail, Task

# SLURM kills a job 30 seconds after it asked it to end, and tells of it some time later.
GRACE_SECONDS = 120.0


class Jobs(ABC):
    """Jobs under way, within its `with`. Where this process is killed, they go on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.running: dict[str, Tail] = {}
        self._deadline = inf

    def __enter__(self) -> Jobs:
        return self

    @abstractmethod
    def __exit__(self, *_: object) -> None:
        """Let go of the engine."""

    @property
    def is_stopping(self) -> bool:
        return self._deadline < inf

    @property
    def has_room(self) -> bool:
        return len(self.running) < len(self.plan.slots)

    def start(self, name: str, task: Task, log: Path) -> None:
        """Ask for a job; raises UserError where there is nobody to ask."""
        self.ask(name, task, log)
        self.running[name] = Tail(log)

    def ended(self) -> list[tuple[str, int, str]]:
        ended = []
        for name, tail in list(self.running.items()):
            end = self.end(name)
            if end is None and time.monotonic() > self._deadline:
                end = 128 + SIGTERM, "normexp: asked to end, and not heard of since"
            if end is not None:
                code, words = end if isinstance(end, tuple) else (end, tail.said())
                ended.append((name, code, words))
                del self.running[name]
        return ended

    def stop(self) -> None:
        """Have all jobs leave a checkpoint and go."""
        if not self.is_stopping:
            self._deadline = time.monotonic() + GRACE_SECONDS
            self.cancel()

    @abstractmethod
    def ask(self, name: str, task: Task, log: Path) -> None:
        """Have `task` carried out, its output written to the end of `log`."""

    @abstractmethod
    def end(self, name: str) -> int | tuple[int, str] | None:
        """Return the exit code of a job's task, with words on one that died, or None."""

    @abstractmethod
    def cancel(self) -> None:
        """Ask all jobs to stop."""
