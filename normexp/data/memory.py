"""Whether images fit into memory, asked before they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from normexp.errors import UserError

MEMINFO = Path("/proc/meminfo")
COPIES = 2
"""Of all images, at most, that are in memory at a time: as decoded, and shuffled."""


def check_memory(number: int, shape: Sequence[int], where: str, remedy: str) -> None:
    """Raise UserError where `number` images of bytes of this `shape` do not fit into free memory.

    Nothing is checked where the system does not tell what is free.
    """
    needed, free = COPIES * number * prod(shape) / 1e9, available()
    if free is not None and needed > free:
        raise UserError(
            f"{where}{number:,} images of {'×'.join(map(str, shape[:2]))} pixels take "
            f"{needed:.1f} GB of memory, and {free:.1f} GB are free; {remedy} makes them smaller"
        )


def available() -> float | None:
    """Return the free memory in gigabytes, or None where it is not known."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024 / 1e9
    except (OSError, KeyError, ValueError):
        return None
