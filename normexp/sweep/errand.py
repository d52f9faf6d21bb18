"""The command of a cell, carried out by a job of a cluster.

It is a process beside the job's own, the same as in a sweep on one machine; all that is pickled is
its command. It stops when the job's process does.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from normexp.engine.requeue import is_ending
from normexp.sweep.ended import STOPPED
from normexp.sweep.pool import GRACE_SECONDS, POLL_SECONDS, Child


@dataclass
class Errand:
    """Called in a job's process, carries out a command in `folder` and returns its exit code."""

    command: list[str]
    log: Path
    folder: Path
    _child: Child | None = field(default=None, init=False)

    def __call__(self) -> int:
        os.chdir(self.folder)
        self._child = child = Child(self.command, self.log, {})
        try:
            while (code := child.exit_code()) is None:
                time.sleep(POLL_SECONDS)
        finally:
            self.stop()
        return code

    def stop(self) -> None:
        """Have the command leave a checkpoint, and leave nothing of it running."""
        if self._child is None:
            return
        self._child.stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while self._child.exit_code() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._child.end()


class SubmititErrand(Errand):
    """An errand that submitit puts back into the queue when it is told to stop."""

    def __call__(self) -> int:
        code = super().__call__()
        # SLURM preempts by a SIGTERM to every process of the job; submitit's own leaves it to us.
        if code in STOPPED and not is_ending():
            signal.raise_signal(_preemption())  # to submitit's handler, which does not return
        return code

    def checkpoint(self) -> Any:
        """Called by submitit's handler: stop, and return what to carry out when the job is back."""
        from submitit.helpers import DelayedSubmission

        self.stop()
        return DelayedSubmission(replace(self))


def _preemption() -> signal.Signals:
    from submitit import JobEnvironment

    return signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]
