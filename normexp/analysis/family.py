"""Which comparisons of a family differ: step-down max-|t| of joint sign flips.

Westfall and Young, "Resampling-Based Multiple Testing", 1993, with the step-down method of Romano
and Wolf, "Exact and Approximate Stepdown Methods for Multiple Hypothesis Testing", JASA 2005.

All differences of one seed get one sign, so what comparisons share (the reference, the first
weights) stays shared in every flip, and the smallest p is 2/2ⁿ whatever the size of the family.
Assumes that under no difference a seed's differences may as well all have the other sign; not that
they are normal. Comparisons that share no seed are flipped independently, in the same maximum,
which adjusts them as Šidák's method does: slightly less than Holm's.

The statistic is z = |Σd|/√Σd². For n seeds it orders flips and comparisons as |t| does, since
|t| = √(n−1)·z/√(n−z²), is finite where all differences are equal (√n), and leaves one of few seeds
unable to hide others behind an infinite |t|.

The intervals are simultaneous: mean ± c·error for all comparisons, c the critical |t| of the first
step, or that of flips of the differences less their means where it is larger. Where the test
decides all the same, at a later step or by a |t| between the two, the interval is cut at 0,
which does not belong to it. So an interval excludes 0 exactly where p ≤ α. Such bounds are those of
Strassburger and Bretz, "Compatible simultaneous lower confidence bounds for the Holm procedure",
Statistics in Medicine 2008, made two-sided; docs/statistics.md simulates their joint coverage.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from math import sqrt
from typing import TypeVar

import numpy as np

from normexp.analysis.intervals import (
    ALPHA,
    Adjusted,
    Interval,
    Values,
    agreeing,
    around,
    finite,
    mean_and_error,
)

EXACT_SEEDS = 14
"""Up to 14 seeds all flips are tried; beyond, as many at random, from a fixed generator."""

ROUNDING = 1e-9  # flips that differ by less are equal

K = TypeVar("K", bound=Hashable)
Seeds = Mapping[int, float]  # the difference of each seed


def joint_sign_flips(differences: Mapping[K, Seeds], alpha: float = ALPHA) -> dict[K, Adjusted]:
    """Return for each comparison its adjusted p-value and its simultaneous interval.

    `differences` holds each comparison's difference by seed. p ≤ `alpha` exactly where the
    interval, of level 1 − `alpha`, excludes 0. Without an interval: fewer than three seeds, and
    where no p could reach `alpha` (fewer than six seeds, for 5 %). Raises ValueError on a
    comparison without seeds, and on nan or infinite differences.
    """
    if not differences:
        return {}
    rows = [finite(each.values()) for each in differences.values()]
    tables = list(differences.values())
    scaled = _scaled(tables, rows)
    observed = np.abs(scaled.sum(axis=1))
    order = np.argsort(observed, kind="stable")  # the least first
    maxima = _maxima(scaled[order])
    counts = np.count_nonzero(maxima >= observed[order, None] - ROUNDING, axis=1)
    p = np.empty(len(rows))
    p[order] = np.maximum.accumulate(counts[::-1])[::-1] / maxima.shape[1]
    spread = _maxima(_scaled(tables, [_less_mean(row) for row in rows]))
    critical = max(_critical(maxima[-1], alpha), _critical(spread[-1], alpha))
    return {
        key: Adjusted(float(p[i]), _interval(rows[i], critical, decided=bool(p[i] <= alpha)))
        for i, key in enumerate(differences)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's step-down method, which holds for any dependence."""
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values between 0 and 1 are needed, not {list(p_values)}")
    adjusted, largest = [1.0] * len(p_values), 0.0
    for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, (len(p_values) - step) * p_values[i])
        adjusted[i] = min(largest, 1.0)
    return adjusted


def _scaled(differences: Sequence[Seeds], rows: Sequence[Values]) -> Values:
    """Return differences over the root of their sum of squares, (comparisons, seeds).

    0 stands where a comparison lacks a seed.
    """
    seeds = {seed: i for i, seed in enumerate(sorted(set().union(*differences)))}
    table = np.zeros((len(rows), len(seeds)))
    for scaled, each, row in zip(table, differences, rows, strict=True):
        scaled[[seeds[seed] for seed in each]] = row / (sqrt(float(row @ row)) or 1.0)
    return table


def _less_mean(row: Values) -> Values:
    mean, error = mean_and_error(row)
    return row - mean if error else np.zeros_like(row)


def _maxima(scaled: Values) -> Values:
    """Return in row k the largest statistic of each flip among the comparisons up to k."""
    flipped = scaled @ signs(scaled.shape[1])
    np.abs(flipped, out=flipped)
    return np.maximum.accumulate(flipped, axis=0, out=flipped)


@cache
def signs(n: int) -> Values:
    """Return flips of n signs, (n, flips): first none, then one of each pair s, −s, or draws."""
    if n <= EXACT_SEEDS:
        bits = np.arange(2 ** (n - 1)) >> np.arange(n)[:, None] & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (n, 2 ** (EXACT_SEEDS - 1)))
        bits[:, 0] = 0
    return np.asarray(1.0 - 2.0 * bits)


def _critical(maxima: Values, alpha: float) -> float:
    """Return what a statistic must exceed for p ≤ alpha; infinite where none can."""
    above = int(alpha * len(maxima))  # so many flips may reach the statistic, itself included
    return float(np.partition(maxima, -1 - above)[-1 - above]) if above else float("inf")


def _interval(row: Values, critical: float, *, decided: bool) -> Interval | None:
    n = len(row)
    if n < 3 or critical == float("inf"):
        return None
    # With fewer seeds than others of its family, even equal differences may not reach `critical`.
    reachable = round(critical, 6) < round(sqrt(n), 6)
    times = sqrt(n - 1) * critical / sqrt(n - critical**2) if reachable else float("inf")
    mean, error = mean_and_error(row)
    return agreeing(around(mean, error, times), mean, decided=decided)
