"""Files that are whole or absent: written beside, synced, renamed; sealed ones carry a checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

MARK = b"normexp\x01"
_SEAL_BYTES = len(MARK) + hashlib.sha256().digest_size


class DamagedFileError(Exception):
    """The file exists and is not what was written."""


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; at every moment the file is the old one or the new one.

    Raises OSError (disk full, no permission), and then leaves no part of the new file behind.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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
