"""Files that are whole or absent: written beside, synced, renamed; sealed ones carry a checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = b"normexp\x01"
_SEAL_BYTES = len(MARK) + hashlib.sha256().digest_size
_CHUNK_BYTES = 2**20


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


def check_sealed(path: Path) -> None:
    """Raise DamagedFileError where `read_sealed` would, without a copy of the file in memory."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - _SEAL_BYTES
        digest = hashlib.sha256()
        for start in range(0, size, _CHUNK_BYTES):
            digest.update(file.read(min(_CHUNK_BYTES, size - start)))
        if file.read() != MARK + digest.digest():
            raise DamagedFileError(f"{path} is damaged: its checksum does not fit its content")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` for people and programs, atomically, with a checksum as its last entry."""
    checked = {**content, "checksum": _checksum(content)}
    write_atomic(path, (json.dumps(checked, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` was given.

    Raises FileNotFoundError, and DamagedFileError if the content is not what was written.
    """
    text = path.read_bytes()
    try:
        content = json.loads(text)
        is_whole = content.pop("checksum") == _checksum(content)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise DamagedFileError(f"{path} is damaged: its checksum does not fit its content")
    return dict(content)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is out of the way and can be looked at."""
    return path.replace(path.with_name(f"{path.name}.damaged"))


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
