"""Tensors on disk: whole or absent, checksummed, and loaded without running any code."""

import io
from pathlib import Path
from typing import Any

import torch

from normexp.runs.files import DamagedFileError, check_sealed, read_sealed, write_sealed


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers and texts; `torch.load(path, weights_only=True)` reads them too."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_sealed(path, buffer.getvalue())


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what was saved; raises DamagedFileError if it is not what `save` wrote."""
    return _load(path, io.BytesIO(read_sealed(path)), map_location=device)


def load_mapped(path: Path) -> dict[str, Any]:
    """As `load`, but the tensors lie in the file, mapped into memory; changing one is private."""
    check_sealed(path)
    return _load(path, path, mmap=True)


def _load(path: Path, content: Path | io.BytesIO, **how: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = torch.load(content, weights_only=True, **how)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a file of something else makes the unpickler raise
        raise DamagedFileError(f"{path} holds something else than tensors: {error}") from error
    return loaded
