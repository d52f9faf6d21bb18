"""One process at a time works on a run.

The claim is a lock on a file in the run's folder. The operating system releases it when its
process ends, however it ends, so a dead process leaves nothing that must be judged or timed.
Such locks hold between machines on NFS and the usual cluster file systems.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from normexp.errors import UserError
from normexp.runs.folder import RunFolder
from normexp.runs.spec import RunSpec


class InProgressError(UserError):
    """Another process is at work on the run."""


@contextmanager
def claimed(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the claim on the run in `folder`.

    Where another process has it, raises InProgressError with its number, or waits for its end.
    """
    path = folder / "claim.json"
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB * (not wait))
        except BlockingIOError:
            with file:
                raise InProgressError(
                    f"{folder.name} is in progress{_holder(file)}; it is left to that process"
                ) from None
        if _is_at(path, file):
            break
        file.close()  # the one before finished, and took its file away, as we waited to open it
    with file:
        file.truncate(0)
        json.dump(
            {"host": platform.node(), "pid": os.getpid(), "since": time.strftime("%F %T")}, file
        )
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def revisit(folder: RunFolder, spec: RunSpec, command: str, study: str | None) -> None:
    """Note who asks for a finished run, and remove what a process killed at its end has left.

    Nothing is written where nothing is new: the folder may be read-only.
    """
    if not folder.has_joined(study):
        with claimed(folder.path, wait=True):
            folder.open(spec, command)
            folder.join_study(study)
    if folder.left_over() or (folder.path / "claim.json").exists():
        with suppress(OSError), claimed(folder.path, wait=True):
            for file in folder.left_over():
                file.unlink()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        who = json.load(file)
    except json.JSONDecodeError:  # it has the lock, and has not written yet
        return ""
    return f" (process {who['pid']} on {who['host']}, since {who['since']})"


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
