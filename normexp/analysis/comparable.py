"""Runs that differ in norm and seed only."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from normexp.analysis.report.blocks import told
from normexp.analysis.rows import Row


def comparable(near: Sequence[Row], batch_size: int) -> list[Row]:
    """Return the runs that differ in norm and seed only: the nearest, then the most of them."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in near:
        key = tuple(sorted((k, repr(v)) for k, v in row.settings.items() if not _is_own(k)))
        groups.setdefault(key, []).append(row)
    return max(
        groups.values(),
        key=lambda own: (len(by_norm(own)) > 1, -distance(own[0], batch_size), len(own)),
    )


def by_norm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the runs of each norm; where a norm was run in several ways, of each of these."""
    keys = [key for key in dict.fromkeys(k for row in rows for k in row.settings) if _is_own(key)]
    found: dict[str, list[Row]] = {}
    for row in rows:
        same = [other.settings for other in rows if other.settings["norm"] == row.settings["norm"]]
        varying = [
            f"{key}={told(row.settings.get(key))}"
            for key in keys
            if key != "seed" and len({repr(settings.get(key)) for settings in same}) > 1
        ]
        found.setdefault(" ".join([str(row.settings["norm"]), *varying]), []).append(row)
    return found


def _is_own(key: str) -> bool:
    return key == "seed" or key.split(".")[0] == "norm"


def distance(row: Row, batch_size: int) -> float:
    """Return how far the run's batch size is, as a logarithm of the factor."""
    return abs(log(row.settings["batch_size"] / batch_size))
