"""Choosing a learning rate by the validation accuracy of trials, the same way for every cell."""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev

FIRST_SEED = 1000  # exploration seeds are 1000 and up: no seed of a confirmation chooses a rate
MORE_SEEDS = (1001, 1002)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the default rate
MOST_WIDENINGS = 2

Rates = Mapping[float, Mapping[int, float]]
"""Validation accuracy as a share by rate and seed; 0 where the run diverged."""


def rounded(rate: float) -> float:
    return float(f"{rate:.6g}")


def two_best(rates: Rates) -> list[float]:
    """Return the rates with the two highest accuracies on the first seed; of equals the smaller."""
    first = {rate: by_seed[FIRST_SEED] for rate, by_seed in rates.items()}
    return sorted(first, key=lambda rate: (-first[rate], rate))[:2]


def widened(factors: Sequence[float], best: Iterable[float]) -> list[float]:
    """Return the factors with a further one at each end that is the best of some cell."""
    best = set(best)
    lower = [min(factors) / 2] if min(factors) in best else []
    upper = [max(factors) * 2] if max(factors) in best else []
    return [*lower, *factors, *upper]


def chosen(rates: Rates) -> tuple[float, float]:
    """Return the rate to use, and the one with the highest mean, of the two best.

    The rate to use is the smaller one where they differ by no more than the standard error of
    their difference.
    """
    candidates = two_best(rates)
    means = {rate: fmean(rates[rate].values()) for rate in candidates}
    best = max(candidates, key=lambda rate: (means[rate], -rate))
    limit = error(*(rates[rate] for rate in candidates)) if len(candidates) == 2 else 0.0
    return min(rate for rate in candidates if means[best] - means[rate] <= limit), best


def error(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """Return the standard error of the difference of two means over the same seeds."""
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 0.0
