"""Tasks as child processes, so many at once, none of which is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import IO, Protocol

# -P: a folder `normexp` where the user happens to be is not this package.
CHILD = (sys.executable, "-P", "-m", "normexp", "child")

# A child that is asked to stop finishes its step and writes a checkpoint.
GRACE_SECONDS = 30.0
TAIL = 8192  # bytes


@dataclass(frozen=True)
class Task:
    """What a child is to do, and with what; `normexp.commands.child` knows how."""

    do: str
    given: Mapping[str, object]

    def line(self) -> bytes:
        return json.dumps({"do": self.do, "given": self.given}).encode() + b"\n"


class Tail:
    """What is written to the end of a file from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._begins = log.stat().st_size if log.exists() else 0

    def said(self) -> str:
        """Return the end of what has been written so far."""
        return self._read(lambda end: max(self._begins, end - TAIL))

    def said_first(self) -> str:
        """Return the start of what has been written so far."""
        return self._read(lambda _: self._begins)

    def _read(self, begins: Callable[[int], int]) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(begins(file.seek(0, os.SEEK_END)))
                return file.read(TAIL).decode(errors="replace")
        except OSError:  # the folder is gone
            return ""


class Process(Protocol):
    """What a child needs of `subprocess.Popen`."""

    stdin: IO[bytes] | None

    def poll(self) -> int | None: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


class Child(Tail):
    """A task under way, whose output goes to the end of a file, with its errors if `own_errors`.

    It has a session of its own, so Ctrl-C on a terminal reaches it only by way of this process.
    Its standard input is a pipe that ends when this process does.
    """

    def __init__(
        self, task: Task, log: Path, environment: Mapping[str, str], own_errors: bool = True
    ) -> None:
        super().__init__(log)
        with log.open("ab") as file:
            self._process = self.begin(file, {**os.environ, **environment}, own_errors)
        assert self._process.stdin
        with suppress(BrokenPipeError):  # its exit code will tell
            self._process.stdin.write(task.line())
            self._process.stdin.flush()

    @staticmethod
    def begin(log: IO[bytes], environment: Mapping[str, str], own_errors: bool) -> Process:
        return subprocess.Popen(
            CHILD,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT if own_errors else None,
            env=environment,
            start_new_session=True,
        )

    def exit_code(self) -> int | None:
        """Return None while it runs; the number of a signal that ended it is negative."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to leave a checkpoint and go."""
        # Not SIGINT: what a shell script starts in the background ignores it.
        self._process.send_signal(SIGTERM)

    def end(self) -> None:
        """Leave nothing of it running."""
        self._process.kill()
        self._process.wait()
        self.close_input()

    def close_input(self) -> None:
        """End its standard input, as the end of this process does."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()


class Pool:
    """At most one child a slot, within its `with`; on leaving it none is left.

    A slot is the environment variables that place a child, on a GPU say.
    """

    def __init__(
        self,
        slots: Sequence[Mapping[str, str]],
        begin: type[Child] = Child,
        own_errors: bool = True,
    ) -> None:
        self._begin = begin
        self._own_errors = own_errors
        self._free = list(reversed(slots))
        self._taken: dict[str, Mapping[str, str]] = {}
        self._deadline: float | None = None
        self.running: dict[str, Child] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.running.values():
            child.end()

    @property
    def has_room(self) -> bool:
        return bool(self._free)

    def start(self, name: str, task: Task, log: Path) -> None:
        """Start a child; raises OSError where that is impossible."""
        self.running[name] = self._begin(task, log, self._free[-1], self._own_errors)
        self._taken[name] = self._free.pop()

    def ended(self) -> list[tuple[str, int, str]]:
        """Return name, exit code and last words of the children that have ended since."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            for child in self.running.values():
                child.end()
        ended = []
        for name, child in list(self.running.items()):
            code = child.exit_code()
            if code is not None:
                ended.append((name, code, child.said()))
                child.end()
                del self.running[name]
                self._free.append(self._taken.pop(name))
        return ended

    def stop(self) -> None:
        """Ask all children to stop; those that take too long are ended."""
        if self._deadline is None:
            self._deadline = time.monotonic() + GRACE_SECONDS
            for child in self.running.values():
                child.stop()
