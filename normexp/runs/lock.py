"""One process at a time works on a run.

The lock is on a file in the run's folder. The operating system releases it when its process ends,
however it ends, so a dead process leaves nothing that must be judged or timed. Such locks hold
between machines on NFS and the usual cluster file systems. Windows has locks of another kind, by
`filelock`: nobody can read a file that is locked, so the holder's name stands beside it.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

from normexp.errors import UserError
from normexp.runs.folder import RunFolder
from normexp.runs.runtime import Design
from normexp.runs.spec import RunSpec

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK_FILE = "lock.json"


class InProgressError(UserError):
    """Another process is at work on the run."""


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock on the run in `folder`.

    Where another process has it, raises InProgressError with its number, or waits for its end.
    """
    with (_locked_beside if fcntl is None else _locked)(folder, wait):
        yield


@contextmanager
def _locked_beside(folder: Path, wait: bool) -> Iterator[None]:
    """As `locked`, where there is no fcntl."""
    from filelock import FileLock, Timeout  # which warns where there is neither fcntl nor Windows

    name = folder / LOCK_FILE
    lock = FileLock(folder / f".{LOCK_FILE}")
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise _in_progress(folder, name.read_text() if name.exists() else "") from None
    try:
        name.write_text(_me())
        yield
    finally:
        name.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[None]:
    assert fcntl is not None
    path = folder / LOCK_FILE
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            with file:
                file.seek(0)
                raise _in_progress(folder, file.read()) from None
        if _is_at(path, file):
            break
        file.close()  # the one before finished, and took its file away, as we waited to open it
    with file:
        file.truncate(0)
        file.write(_me())
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def revisit(
    folder: RunFolder,
    spec: RunSpec,
    command: str,
    study: str | None,
    design: Design = Design.PLANNED,
) -> None:
    """Note who asks for a finished run, and remove what a process killed at its end has left.

    Nothing is written where nothing is new: the folder may be read-only.
    """
    if not folder.is_known(study, design):
        with locked(folder.path, wait=True):
            folder.open(spec, command, study, design)
    if folder.superfluous() or (folder.path / LOCK_FILE).exists():
        with suppress(OSError), locked(folder.path, wait=True):
            for file in folder.superfluous():
                file.unlink()


def _me() -> str:
    me = {"host": platform.node(), "pid": os.getpid(), "since": time.strftime("%F %T")}
    return json.dumps(me)


def _in_progress(folder: Path, holder: str) -> InProgressError:
    try:
        who = json.loads(holder)
        words = f" (process {who['pid']} on {who['host']}, since {who['since']})"
    except (ValueError, KeyError, TypeError):  # it has the lock, and has not written yet
        words = ""
    return InProgressError(f"{folder.name} is in progress{words}; it is left to that process")


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
