"""Choosing a learning rate by the validation accuracy of trials, the same way for every cell."""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev

FIRST_SEED = 1000  # exploration seeds are 1000 and up: no seed of a confirmation chooses a rate
MORE_SEEDS = (1001, 1002)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the default rate
MOST_WIDENINGS = 2

Rates = Mapping[float, Mapping[int, float | None]]
"""Validation accuracy as a share by rate and seed; None where the run diverged."""


def rounded(rate: float) -> float:
    return float(f"{rate:.6g}")


def two_best(rates: Rates) -> list[float]:
    """Return the rates with the two highest accuracies on the first seed; of equals the smaller."""
    first = {rate: by_seed[FIRST_SEED] for rate, by_seed in rates.items()}
    return sorted(first, key=lambda rate: (first[rate] is None, -(first[rate] or 0), rate))[:2]


def widened(factors: Sequence[float], best: Iterable[float]) -> list[float]:
    """Return the factors with a further one at each end that is the best of some cell."""
    best = set(best)
    lower = [min(factors) / 2] if min(factors) in best else []
    upper = [max(factors) * 2] if max(factors) in best else []
    return [*lower, *factors, *upper]


def chosen(rates: Rates) -> tuple[float, float]:
    """Return the rate to use, and the one with the highest mean, of the two best.

    Both are the one that diverged on fewer seeds, if there is one. Else the rate to use is the
    smaller one where they differ by no more than the standard error of their difference. A run that
    diverged counts as 0.
    """
    diverged = {rate: list(rates[rate].values()).count(None) for rate in two_best(rates)}
    found = {
        rate: {seed: accuracy or 0.0 for seed, accuracy in rates[rate].items()}
        for rate, count in diverged.items()
        if count == min(diverged.values())
    }
    means = {rate: fmean(by_seed.values()) for rate, by_seed in found.items()}
    best = max(means, key=lambda rate: (means[rate], -rate))
    limit = error(*found.values()) if len(found) == 2 else 0.0
    return min(rate for rate in means if means[best] - means[rate] <= limit), best


def error(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """Return the standard error of the difference of two means over the same seeds."""
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 0.0
