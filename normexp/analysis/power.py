"""How many seeds would decide a comparison."""

from collections.abc import Iterable
from math import ceil, sqrt

from scipy import special

from normexp.analysis.intervals import ALPHA, finite, mean_and_error

POWER = 0.8
MIN_SEEDS = 6  # the smallest p of joint sign flips, 2/2ⁿ, is below 5 % from n = 6 on
MANY_SEEDS = 1000


def seeds_to_decide(differences: Iterable[float], margin: float) -> int:
    """Return the seeds that find a difference of this size, or that it is below the margin.

    With 80 % power, for this comparison alone: t tests; 6 at least, and `MANY_SEEDS` at most.
    """
    x = finite(differences)
    mean, error = mean_and_error(x)
    if len(x) < 3 or error == 0:
        return MIN_SEEDS
    sd = error * sqrt(len(x))
    return min(_to_differ(abs(mean) / sd), _to_be_the_same(margin - abs(mean), sd), MANY_SEEDS)


def _to_differ(effect: float) -> int:
    if effect == 0:
        return MANY_SEEDS
    z = float(special.ndtri(1 - ALPHA / 2) + special.ndtri(POWER))
    # The normal approximation is a little too small; for many seeds it is as good as exact.
    n = max(MIN_SEEDS, ceil((z / effect) ** 2))
    while n < MANY_SEEDS and _power(effect * sqrt(n), n) < POWER:
        n += 1
    return n


def _to_be_the_same(room: float, sd: float) -> int:
    z = float(special.ndtri(1 - ALPHA) + special.ndtri(POWER))
    return max(MIN_SEEDS, ceil((z * sd / room) ** 2) + 1) if room > 0 else MANY_SEEDS


def _power(shift: float, n: int) -> float:
    """Return how often a two-sided t test of n pairs finds a mean of `shift` standard errors."""
    limit = special.stdtrit(n - 1, 1 - ALPHA / 2)
    # t² is noncentral F, which scipy computes where its noncentral t is nan.
    return 1 - float(special.ncfdtr(1, n - 1, shift**2, limit**2))
