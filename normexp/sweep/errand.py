"""The task of a cell, carried out by a job of a cluster.

It is a process beside the job's own, the same as in a sweep on one machine; all that is pickled is
its task. It stops when the job's process does.
"""

import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

from normexp.engine.requeue import is_ending
from normexp.sweep.ended import STOPPED
from normexp.sweep.pool import Pool, Task
from normexp.sweep.scheduler import carry_out


@dataclass
class Errand:
    """Called in a job's process, carries out a task in `folder` and returns its exit code."""

    task: Task
    log: Path
    folder: Path
    _pool: Pool | None = field(default=None, init=False)

    def __call__(self) -> int:
        os.chdir(self.folder)
        self._pool = pool = Pool([{}])
        codes: list[int] = []
        with pool:
            try:
                carry_out(
                    [self.task],
                    pool,
                    lambda task: pool.start("job", task, self.log),
                    lambda _, code, __: codes.append(code),
                )
            finally:
                self.stop()
        return codes[0]

    def stop(self) -> None:
        """Have the task leave a checkpoint, and leave nothing of it running."""
        if self._pool:
            carry_out([], self._pool, lambda _: None, lambda *_: None, lambda: True)


class SubmititErrand(Errand):
    """An errand that submitit puts back into the queue when it must stop."""

    def __call__(self) -> int:
        code = super().__call__()
        # SLURM preempts by a SIGTERM to every process of the job; submitit's own leaves it to us.
        if code in STOPPED and not is_ending():
            signal.raise_signal(_preemption())  # to submitit's handler, which does not return
        return code

    def checkpoint(self) -> object:
        """Called by submitit's handler: stop, and return what to carry out when the job is back."""
        from submitit.helpers import DelayedSubmission

        self.stop()
        return DelayedSubmission(replace(self))


def _preemption() -> signal.Signals:
    from submitit import JobEnvironment

    return signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]
