"""Accuracies over seeds and test images, of runs that keep which images they got right."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from normexp.analysis.intervals import Interval
from normexp.analysis.rows import Run
from normexp.analysis.seeds_and_images import (
    Crossed,
    Right,
    accuracy_over_images,
    correlation_of_pairs,
    difference_over_images,
)

ENDED = ("finished", "diverged")
LEAST_SEEDS = 3  # as for the interval over seeds


@dataclass(frozen=True)
class Images:
    """A difference of accuracies over seeds and test images, in points."""

    mean: float
    interval: Interval
    correlation: float | None  # of the pairs


def images_of(first: Sequence[Run], second: Sequence[Run]) -> Images | None:
    """Return the difference of two cells; None where their runs cannot be paired by image."""
    ended = [{run.seed: run for run in side if run.state in ENDED} for side in (first, second)]
    seeds = sorted(ended[0].keys() & ended[1].keys())
    sides = [[own[seed] for seed in seeds] for own in ended]
    tables = table_of([*sides[0], *sides[1]])
    if tables is None or len(seeds) < LEAST_SEEDS:
        return None
    one, other = tables[: len(seeds)], tables[len(seeds) :]
    found = difference_over_images(one, other)
    by_seed = (side.mean(axis=1) for side in (one, other))
    return Images(100 * found.mean, _percent(found), correlation_of_pairs(*by_seed))


def interval_of(runs: Sequence[Run]) -> Interval | None:
    """Return the interval of a cell's accuracy in percent; None where runs diverged, or few."""
    table = table_of(runs)
    if table is None or len(table) < LEAST_SEEDS:
        return None
    return _percent(accuracy_over_images(table))


def table_of(runs: Sequence[Run]) -> Right | None:
    """Return which image each run got right; None unless all finished on the same test images."""
    tests = [run.result.test if run.result else None for run in runs if run.state in ENDED]
    kept = [test for test in tests if test is not None and test.correct]
    if not kept or len(kept) < len(tests) or len({test.fingerprint for test in kept}) > 1:
        return None
    return np.array([_unpacked(test.correct, test.num_images) for test in kept])


@cache
def _unpacked(correct: str, images: int) -> Right:
    bits = np.frombuffer(base64.b64decode(correct), dtype=np.uint8)
    return np.unpackbits(bits, count=images).astype(np.bool_)


def _percent(found: Crossed) -> Interval:
    return Interval(100 * found.interval.low, 100 * found.interval.high)
