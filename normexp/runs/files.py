"""Files that are whole or absent: written beside, synced, renamed; sealed ones carry a checksum."""

import glob
import hashlib
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TypeVar

from normexp.runs.record import RecordError, from_json, to_json

MARK = b"normexp\x01"
_SEAL_BYTES = len(MARK) + hashlib.sha256().digest_size
CHUNK_BYTES = 2**20
MOST_BYTES = 2**26
"""Of a record: the confusion of a thousand classes takes 10 MB."""
DAY = 24 * 60 * 60.0
T = TypeVar("T")


class DamagedFileError(Exception):
    """The file exists and is not what was written."""


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; at every moment the file is the old one or the new one.

    Raises OSError (disk full, no permission), and then leaves no part of the new file behind.
    """
    remove_unfinished(path.parent, path.name)
    beside = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names none
        raise
    finally:
        beside.unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove what processes that were killed as they wrote the file `name` have left beside it.

    Of all files in the folder whose names end so, where it is `*.pt`, say. What a process of
    another machine may still write goes after a day.
    """
    escaped = name if name.startswith("*") else glob.escape(name)
    for file in folder.glob(f".{escaped}.*.tmp"):
        with suppress(OSError):
            if _is_left(file) or file.stat().st_mtime < time.time() - DAY:
                file.unlink()


def _is_left(file: Path) -> bool:
    """Whether a process of this machine, which has ended, was to write the file."""
    rest, _, process = file.name.removesuffix(".tmp").rpartition(".")
    return rest.endswith(f".{platform.node()}") and process.isdigit() and not _is_running(process)


def _is_running(process: str) -> bool:
    if os.name == "nt":  # where such a signal would end it
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def write_sealed(path: Path, content: bytes) -> None:
    """`write_atomic` with a checksum behind the content, where zip readers do not mind it."""
    write_atomic(path, content + MARK + hashlib.sha256(content).digest())


def read_sealed(path: Path) -> bytes:
    """Return what `write_sealed` was given; raises DamagedFileError if one bit differs."""
    sealed = path.read_bytes()
    content, seal = sealed[:-_SEAL_BYTES], sealed[-_SEAL_BYTES:]
    if seal != MARK + hashlib.sha256(content).digest():
        raise DamagedFileError(f"{path} is damaged: its checksum does not fit its content")
    return content


def check_sealed(path: Path) -> None:
    """Raise DamagedFileError where `read_sealed` would, without a copy of the file in memory."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - _SEAL_BYTES
        digest = hashlib.sha256()
        for start in range(0, size, CHUNK_BYTES):
            digest.update(file.read(min(CHUNK_BYTES, size - start)))
        if file.read() != MARK + digest.digest():
            raise DamagedFileError(f"{path} is damaged: its checksum does not fit its content")


def write_record(path: Path, record: object) -> None:
    write_atomic(path, to_json(record).encode())


def read_record(path: Path, kind: type[T]) -> T:
    """Return the record of a `kind` that was written to `path`.

    Raises OSError, such as FileNotFoundError, and DamagedFileError where it is not what was
    written.
    """
    found = path.stat()
    if not S_ISREG(found.st_mode):  # a pipe would be waited for
        raise DamagedFileError(f"{path} is no file")
    if found.st_size > MOST_BYTES:
        raise DamagedFileError(f"{path} is damaged: no record has {found.st_size:,} bytes")
    try:
        return from_json(kind, path.read_bytes())
    except RecordError as error:
        raise DamagedFileError(f"{path} {error}") from error


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is out of the way and can be looked at."""
    return path.replace(path.with_name(f"{path.name}.damaged"))
