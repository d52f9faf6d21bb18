"""How the process of a cell has ended."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from normexp.engine.interrupt import SIGNALS
from normexp.runs.lock import InProgressError, locked
from normexp.runs.result import RunResult
from normexp.runs.text import duration
from normexp.sweep.cell import Cell

# As the shell counts a process that handles the signal, and as Python counts one that does not.
STOPPED = tuple(code for number in SIGNALS for code in (128 + number, -number))


def oom_kills() -> int:
    """Return how many processes the system has killed for want of memory, as far as it tells."""
    counts = 0
    for file, key in ((CGROUP_EVENTS, "oom_kill"), (VM_EVENTS, "oom_kill")):
        with suppress(OSError, ValueError):
            lines = (line.split() for line in file.read_text().splitlines())
            counts += sum(int(count) for name, count in lines if name == key)
    return counts


CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")
VM_EVENTS = Path("/proc/vmstat")
OOM_KILLS = oom_kills()  # before this process began any


@dataclass(frozen=True)
class Ended:
    """What became of a cell."""

    how: str  # `finished`, `diverged`, `failed`, `stopped`, `left out`, or `in progress` elsewhere
    words: str

    @property
    def line(self) -> str:
        return f"failed: {self.words}" if self.how == "failed" else self.words

    @property
    def has_result(self) -> bool:
        return self.how in ("finished", "diverged")

    @property
    def is_mistake(self) -> bool:
        """Whether the sweep has not done what it was asked for."""
        return self.how in ("failed", "stopped")


def found(result: RunResult) -> Ended:
    """Return the end of a cell with a result: its validation accuracy, by which one may choose."""
    if result.outcome == "diverged" or not result.history:
        return Ended(result.outcome, str(result))
    accuracy = result.history[-1].val_accuracy
    words = f"validation accuracy {100 * accuracy:.1f} %, {duration(result.timing.seconds)}"
    return Ended(result.outcome, words)


def how_it_ended(cell: Cell, code: int, said: str, threads: int | None, stopping: bool) -> Ended:
    """Tell from the exit code and the last words of a cell's process; record it if it failed."""
    if result := cell.result():
        cell.revisit(threads)
        return found(result)
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [""]
    words = [line.removeprefix("normexp: ") for line in lines if line.startswith("normexp: ")]
    if stopping or code in STOPPED:
        if words:
            return Ended("stopped", words[-1])
        if cell.has_begun:
            return Ended("stopped", "ended; the same command goes on from its checkpoint")
        return Ended("stopped", "stopped before its first step")
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
    if code < 0 and Signals(-code).name == "SIGKILL":
        if oom_kills() > OOM_KILLS:
            return (
                "killed by SIGKILL, as the system was out of memory at batch_size="
                f"{cell.spec.batch_size}; try a smaller one or fewer at once: runtime.jobs=1"
            )
        return "killed by SIGKILL, by another program or a person; the same command tries again"
    if code < 0:
        return f"ended by {Signals(-code).name} {words}".rstrip()
    if code == 0:
        return f"ended without an error and without a result; it said: {words}"
    return words or f"ended with exit code {code} and no result"
