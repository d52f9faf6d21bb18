"""How much the fault suite does: little in `scripts/test`, all in `scripts/test faults`."""

from __future__ import annotations

import os
import random

IS_FULL = os.environ.get("NORMEXP_FAULTS") == "full"


def size(short: int, full: int) -> int:
    """Return how many of something this form of the suite has."""
    return full if IS_FULL else short


def chance(seed: int) -> random.Random:
    """Return what draws the moments and the places, and show how to draw them again."""
    print(f"random.Random({seed})")
    return random.Random(seed)
