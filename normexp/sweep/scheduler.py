"""The loop that has tasks carried out, some at a time: cells, their check, evaluations."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from normexp.sweep.pool import Tail

POLL_SECONDS = 0.05
T = TypeVar("T")


class Engine(Protocol):
    """What carries out tasks: a `Pool` of processes, or `Jobs` of a cluster."""

    @property
    def running(self) -> Mapping[str, Tail]: ...
    @property
    def has_room(self) -> bool: ...
    def ended(self) -> list[tuple[str, int, str]]: ...
    def stop(self) -> None: ...


def carry_out(
    waiting: Iterable[T],
    engine: Engine,
    start: Callable[[T], None],
    note: Callable[[str, int, str], None],
    is_stopping: Callable[[], bool] = lambda: False,
    show: Callable[[], None] = lambda: None,
) -> None:
    """Start what is `waiting` as there is room; `note(name, exit code, last words)` of each end."""
    left = deque(waiting)
    while engine.running or (left and not is_stopping()):
        if is_stopping():
            engine.stop()
        elif left and engine.has_room:
            start(left.popleft())
            continue
        for end in engine.ended():
            note(*end)
        show()
        if engine.running:
            time.sleep(POLL_SECONDS)
