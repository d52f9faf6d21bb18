"""Runs that differ in norm and seed only."""

from collections.abc import Sequence
from math import log

from normexp.analysis.rows import Run
from normexp.kinds import typed


def comparable(near: Sequence[Run], batch_size: int) -> list[Run]:
    """Return the runs that differ in norm and seed only: the nearest, then the most of them."""
    groups: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in near:
        key = tuple(sorted((k, repr(v)) for k, v in run.factors.items() if not _is_own(k)))
        groups.setdefault(key, []).append(run)
    return max(
        groups.values(),
        key=lambda own: (len(by_norm(own)) > 1, -distance(own[0], batch_size), len(own)),
    )


def by_norm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each norm; where a norm was run in several ways, of each of these."""
    keys = [key for key in dict.fromkeys(k for run in runs for k in run.factors) if _is_norms(key)]
    same: dict[str, list[Run]] = {}
    for run in runs:
        same.setdefault(run.spec.norm.name, []).append(run)
    varying = {
        norm: [key for key in keys if len({repr(run.factors.get(key)) for run in own}) > 1]
        for norm, own in same.items()
    }
    found: dict[str, list[Run]] = {}
    for run in runs:
        norm = run.spec.norm.name
        words = [f"{key}={typed(run.factors.get(key))}" for key in varying[norm]]
        found.setdefault(" ".join([norm, *words]), []).append(run)
    return found


def distance(run: Run, batch_size: int) -> float:
    """Return how far the run's batch size is, as a logarithm of the factor."""
    return abs(log(run.spec.batch_size / batch_size))


def _is_own(key: str) -> bool:
    return key == "seed" or _is_norms(key)


def _is_norms(key: str) -> bool:
    return key.split(".")[0] == "norm"
