"""Interval of an accuracy over seeds and over test images: crossed random effects.

Which images a run gets right is a table, (seeds, images), whose rows share what the seed did and
whose columns share how hard the image is. The variance of its mean is estimated from the mean
squares of a two-way table with one value a cell (Searle, Casella and McCulloch, "Variance
Components", 1992):

    S²seeds/n + S²images/m − S²residual/(nm),

S²seeds the variance of the rows' means, S²images of the columns' means, S²residual of what is left.
The degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946). The interval over seeds alone
is for these test images; this one is for others like them.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from normexp.analysis.intervals import ALPHA, Interval, Values

Right = NDArray[np.bool_]  # (seeds, images): which images the run of each seed got right


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds and images, as a share from 0 to 1."""

    mean: float
    error: float  # standard error over seeds and images
    degrees: float  # Satterthwaite's degrees of freedom
    interval: Interval


def accuracy_over_images(right: Right, alpha: float = ALPHA) -> Crossed:
    """Return the accuracy with its interval over seeds and images, within 0 and 1."""
    found = _crossed(np.asarray(right, dtype=np.float64), alpha)
    return Crossed(found.mean, found.error, found.degrees, found.interval.clipped(0, 1))


def difference_over_images(first: Right, second: Right, alpha: float = ALPHA) -> Crossed:
    """Return accuracy of `first` less `second`, paired by seed and image, within −1 and 1.

    Raises ValueError if the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"tables of {first.shape} and {second.shape} cannot be paired")
    found = _crossed(np.subtract(first, second, dtype=np.float64), alpha)
    return Crossed(found.mean, found.error, found.degrees, found.interval.clipped(-1, 1))


def correlation_of_pairs(first: Values, second: Values) -> float | None:
    """Return Pearson's correlation over seeds; None for fewer than three, or equal, values.

    Pairing by seed makes the error of a difference smaller as far as this is above 0.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"values of {first.shape} and {second.shape} cannot be paired")
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _crossed(table: Values, alpha: float) -> Crossed:
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"two seeds and two images at least are needed, not {table.shape}")
    n, m = table.shape
    mean = float(table.mean())
    by_seed, by_image = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    residual = table - mean - by_seed[:, None] - by_image
    # The three terms of the variance, and their degrees of freedom.
    seeds = float(by_seed @ by_seed) / (n - 1) / n
    images = float(by_image @ by_image) / (m - 1) / m
    both = float(np.sum(residual**2)) / ((n - 1) * (m - 1)) / (n * m)
    # A component estimated below 0 counts as 0; then its term only estimates `both` once more.
    terms = [(seeds, n - 1.0)] if seeds > both else []
    terms += [(images, m - 1.0)] if images > both else []
    terms += [(both, (n - 1.0) * (m - 1.0))] if len(terms) != 1 else []
    variance = seeds + images - both if len(terms) == 3 else sum(term for term, _ in terms)
    if variance == 0:
        return Crossed(mean, 0.0, n - 1.0, Interval(mean, mean))
    degrees = variance**2 / sum(term**2 / df for term, df in terms)
    half = float(special.stdtrit(degrees, 1 - alpha / 2)) * sqrt(variance)
    return Crossed(mean, sqrt(variance), degrees, Interval(mean - half, mean + half))
