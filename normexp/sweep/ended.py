"""How the process of a cell has ended."""

from dataclasses import dataclass
from signal import SIGKILL, Signals

from normexp.engine.interrupt import SIGNALS
from normexp.runs.lock import InProgressError, locked
from normexp.runs.result import RunResult
from normexp.sweep.cell import Cell

# As the shell counts a process that handles the signal, and as Python counts one that does not.
STOPPED = tuple(code for number in SIGNALS for code in (128 + number, -number))


@dataclass(frozen=True)
class Ended:
    """What became of a cell."""

    how: str  # `finished`, `diverged`, `failed`, `stopped`, or `in progress` in another process
    words: str

    @property
    def line(self) -> str:
        return f"failed: {self.words}" if self.how == "failed" else self.words

    @property
    def is_mistake(self) -> bool:
        """Whether the sweep has not done what it was asked for."""
        return self.how in ("failed", "stopped")


def found(result: RunResult) -> Ended:
    return Ended(result.outcome, str(result))


def how_it_ended(cell: Cell, code: int, said: str, threads: int | None, stopping: bool) -> Ended:
    """Tell from the exit code and the last words of a cell's process; record it if it failed."""
    if result := cell.result():
        cell.revisit(threads)
        return found(result)
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [""]
    words = [line.removeprefix("normexp: ") for line in lines if line.startswith("normexp: ")]
    if stopping or code in STOPPED:
        return Ended("stopped", words[-1] if words else "stopped before its first step")
    # The run knows more than its process's output tells, if it lived to write it down.
    reason = cell.folder.failure() or _reason(cell, code, (words or lines)[-1])
    return failed(cell, reason, threads)


def failed(cell: Cell, reason: str, threads: int | None) -> Ended:
    """Record that the cell failed, if possible, unless another process has taken it up."""
    try:
        with locked(cell.folder.path):
            if result := cell.result():
                return found(result)
            cell.open(threads)
            cell.folder.record_failure(reason)
    except InProgressError as error:
        return Ended("in progress", str(error))
    except OSError:  # a full disk may be the reason, and is shown on the screen in any case
        pass
    return Ended("failed", reason)


def _reason(cell: Cell, code: int, words: str) -> str:
    if code == -SIGKILL:
        return (
            f"killed, as the system does when it is out of memory (batch_size="
            f"{cell.spec.batch_size}); try a smaller batch_size or fewer at once: runtime.jobs=1"
        )
    if code < 0:
        return f"ended by {Signals(-code).name} {words}".rstrip()
    return words or f"ended with exit code {code} and no result"
