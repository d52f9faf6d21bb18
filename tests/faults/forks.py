"""Starts `normexp` by a fork of a process that has torch, which takes seconds to import.

A script: it listens at the socket whose path is its argument, and ends when its input does. For
each line of JSON (arguments, folder, log, die_at) it answers with the process's number and, once
that has ended, with its exit code.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import torch

from normexp import cli
from normexp.sweep.fork import end_with, import_training

MAX_FILES = 1024
PLACES = ("outputs/runs/", "own-cache/")
MODULES = [{"_target_": f"normexp.{name}"} for name in ("models.cnn.CNN", "data.generated.make")]


def fork(run: Callable[[], object]) -> int:
    """Return the number of a process that does `run` and nothing else, as a new one would."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end_with(run)
    return pid


def die_at(number: int) -> None:
    """Kill this process before its change number `number` to a file of a run or of `own-cache`.

    Each change is written to the errors, as `#3 os.remove /a/file`.
    """
    numbers = itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in ("os.rename", "os.remove")
        if event == "open":
            changes = isinstance(arguments[1], str) and not set("wa+x").isdisjoint(arguments[1])
        if changes and any(place in str(arguments[0]) for place in PLACES):
            n = next(numbers)
            os.write(2, f"#{n} {event} {arguments[0]}\n".encode())
            if n == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def carry_out(asked: dict[str, Any]) -> NoReturn:
    """Be `normexp <arguments>`."""
    os.chdir(asked["folder"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, MAX_FILES)
    if asked["die_at"]:
        die_at(asked["die_at"])
    sys.exit(cli.run(asked["arguments"]))


def keep(connection: socket.socket) -> None:
    """Start what the connection asks for, and tell what becomes of it."""
    with connection, connection.makefile("rw") as file:
        asked = json.loads(file.readline())
        pid = fork(lambda: carry_out(asked))
        # The one who asked may be gone.
        with suppress(OSError):
            print(pid, file=file, flush=True)
            _, status = os.waitpid(pid, 0)
            print(os.waitstatus_to_exitcode(status), file=file, flush=True)


def serve(path: str) -> None:
    """Fork a keeper for each connection."""
    torch.set_num_threads(1)
    import_training([{"parts": MODULES}])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        keepers: set[int] = set()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            keepers.add(fork(lambda connection=connection: keep(connection)))  # type: ignore[misc]
            connection.close()
            keepers = {pid for pid in keepers if not os.waitpid(pid, os.WNOHANG)[0]}


if __name__ == "__main__":
    serve(sys.argv[1])
