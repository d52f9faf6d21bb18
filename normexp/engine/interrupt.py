"""Stop a training by a signal: the current step is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | None

# SLURM announces the end of a job's time with the signal that the job asks for: USR1 is usual,
# USR2 is what submitit asks for. It preempts with TERM.
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")  # Windows has the first two
SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


class StopRequest:
    """A context that notes the first signal; a second Ctrl-C raises KeyboardInterrupt at once.

    A second signal of another kind does nothing: SLURM sends its signals to every process of a
    job, and a sweep that gets one sends it on to its runs, so one request may come twice. Signals
    come to the main thread; a training in another one is not asked.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._before: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> StopRequest:
        is_asked = threading.current_thread() is threading.main_thread()
        for number in SIGNALS if is_asked else ():
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def is_asked(self) -> bool:
        return self.signal_number is not None

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal_number is None:
            self.signal_number = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
