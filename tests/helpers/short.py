"""Which norms the short tests take; the slow ones take all."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

KINDS = (
    *("batch", "instance", "both", "none", "group", "split", "switchable", "ghost", "renorm"),
    *("batch_memory", "batch_frozen", "instance_noisy", "weight_std", "evonorm_b0", "frn", "dyt"),
    *("fixup", "custom", "own"),
)
"""One of each kind of code; the others are made of the same parts, or placed elsewhere."""


def in_short(norms: Iterable[str], *more: str) -> list[ParameterSet]:
    """Return norms, and what follows each, as parameters; those of no own kind are slow."""
    return [
        pytest.param(norm, *more, marks=() if norm in KINDS else pytest.mark.slow) for norm in norms
    ]
