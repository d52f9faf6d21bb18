"""How many seeds would decide a comparison."""

from collections.abc import Callable, Iterable
from math import ceil, sqrt

import numpy as np
from scipy import special

from normexp.analysis.intervals import ALPHA, finite, mean_and_error

POWER = 0.8
MIN_SEEDS = 6  # the smallest p of joint sign flips, 2/2ⁿ, is below 5 % from n = 6 on
MANY_SEEDS = 1000
_ESTIMATES = (np.arange(200) + 0.5) / 200  # quantiles over which a power is averaged


def seeds_to_decide(differences: Iterable[float], margin: float) -> int:
    """Return the seeds that find a difference of this size, or that it is below the margin.

    With 80 % power, for this comparison alone: t tests, at six seeds sign flips; 6 at least, and
    `MANY_SEEDS` at most.
    """
    x = finite(differences)
    mean, error = mean_and_error(x)
    if len(x) < 3 or error == 0:
        return MIN_SEEDS
    sd = error * sqrt(len(x))
    effect, room = abs(mean) / sd, (margin - abs(mean)) / sd
    return min(_to_differ(effect), _to_be_the_same(room, room + 2 * effect))


def _to_differ(effect: float) -> int:
    """Return the seeds that find a mean of `effect` standard deviations."""
    if effect == 0:
        return MANY_SEEDS
    if special.ndtr(effect) ** MIN_SEEDS >= POWER:
        return MIN_SEEDS  # there sign flips need all signs to agree
    z = float(special.ndtri(1 - ALPHA / 2) + special.ndtri(POWER))
    # The normal approximation is a little too small.
    return _first(ceil((z / effect) ** 2), MIN_SEEDS + 1, lambda n: _to_find(effect * sqrt(n), n))


def _to_be_the_same(above: float, below: float) -> int:
    """Return the seeds that find a mean so many standard deviations within the two margins."""
    if above <= 0:
        return MANY_SEEDS
    z = float(special.ndtri(1 - ALPHA) + special.ndtri(POWER))
    return _first(
        ceil((z / above) ** 2), MIN_SEEDS, lambda n: _to_hold(above * sqrt(n), below * sqrt(n), n)
    )


def _first(start: int, least: int, power: Callable[[int], float]) -> int:
    """Return the first number of seeds, from `start` on, that has the power."""
    n = max(start, least)
    while n < MANY_SEEDS and power(n) < POWER:
        n += 1
    return min(n, MANY_SEEDS)


def _to_find(shift: float, n: int) -> float:
    """Return how often a two-sided t test of n pairs finds a mean of `shift` standard errors."""
    limit = special.stdtrit(n - 1, 1 - ALPHA / 2)
    # t² is noncentral F, which scipy computes where its noncentral t is nan.
    return 1 - float(special.ncfdtr(1, n - 1, shift**2, limit**2))


def _to_hold(above: float, below: float, n: int) -> float:
    """Return how often two one-sided t tests of n pairs both pass.

    The mean lies `above` and `below` standard errors within the margins.
    """
    # The estimated deviation over the true one; both tests use the same estimate.
    estimates = np.sqrt(special.chdtri(n - 1, _ESTIMATES) / (n - 1))
    limits = special.stdtrit(n - 1, 1 - ALPHA) * estimates
    passed = special.ndtr(above - limits) - special.ndtr(limits - below)
    return float(np.maximum(passed, 0).mean())
