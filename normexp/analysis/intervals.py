"""Confidence intervals for means of differences, and the answer of a test within a family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

ALPHA = 0.05  # the error that a family of comparisons, or one interval, may have

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Both ends belong to it, but for an end of exactly 0 where `without_zero`."""

    low: float
    high: float
    without_zero: bool = False

    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0 or self.without_zero

    def within(self, margin: float) -> bool:
        return -margin < self.low and self.high < margin

    def clipped(self, low: float, high: float) -> Interval:
        """Return the part from `low` to `high`: 0 to 100 for a mean of percentages."""
        return replace(self, low=min(max(self.low, low), high), high=max(min(self.high, high), low))

    def text(self, form: str = ".1f") -> str:
        """Return "[0.3, 2.1]"; an end that rounds to 0 but excludes it is open: "(0.0, 2.1]"."""
        low, high = (f"{end:z{form}}" for end in (self.low, self.high))
        opening = "(" if self.excludes_zero() and self.low >= 0 and float(low) == 0 else "["
        closing = ")" if self.excludes_zero() and self.high <= 0 and float(high) == 0 else "]"
        return f"{opening}{low}, {high}{closing}"


@dataclass(frozen=True)
class Adjusted:
    """The answer for one comparison of a family: the two are of one test and agree."""

    p: float  # adjusted for the family; 1 with too few seeds, or nothing to test
    interval: Interval | None  # None where so few seeds give none at this level


def finite(values: Iterable[float]) -> Values:
    """Return a 1-d array; raises ValueError on no, nan or infinite values."""
    x = np.fromiter(values, dtype=np.float64)
    if not len(x) or not np.isfinite(x).all():
        raise ValueError(f"finite numbers are needed, one or more, not {x.tolist()}")
    return x


def mean_and_error(x: Values) -> tuple[float, float]:
    """Return the mean and its standard error; the error is 0 where values differ by rounding."""
    values, n = x.tolist(), len(x)  # for so few, Python is faster than numpy
    mean = fsum(values) / n
    if n == 1:
        return mean, float("inf")
    sd = sqrt(fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, 0.0 if sd < 1e-12 * max(map(abs, values)) else sd / sqrt(n)


def around(mean: float, error: float, times: float) -> Interval | None:
    """Return mean ± times · error; None where that is infinite."""
    if not isfinite(times) or not isfinite(error):
        return None
    return Interval(mean - times * error, mean + times * error)


def agreeing(interval: Interval | None, mean: float, *, decided: bool) -> Interval | None:
    """Return the interval cut at 0 where the mean is decided not to be 0, else with 0 in it."""
    if not decided:
        # A statistic equal to its critical value gives an end of 0, but for rounding.
        return interval and Interval(min(interval.low, 0.0), max(interval.high, 0.0))
    if interval is not None and interval.excludes_zero():
        return interval
    low, high = (interval.low, interval.high) if interval else (-float("inf"), float("inf"))
    ends = (0.0, high) if mean > 0 else (low, 0.0)
    return Interval(*ends, without_zero=True)


def t_interval(values: Iterable[float], level: float = 1 - ALPHA) -> Interval | None:
    """Return Student's interval for the mean; None for fewer than three values."""
    x = finite(values)
    if len(x) < 3:
        return None
    return around(*mean_and_error(x), float(special.stdtrit(len(x) - 1, (1 + level) / 2)))


def prediction_interval(values: Sequence[float], level: float) -> Interval | None:
    """Return Student's interval for one more value; None for fewer than two values.

    Of n values with mean m and standard deviation s: m ± t · s · sqrt(1 + 1/n).
    """
    if len(values) < 2:
        return None
    mean, error = mean_and_error(finite(values))
    times = float(special.stdtrit(len(values) - 1, (1 + level) / 2)) * sqrt(len(values) + 1)
    return around(mean, error, times)
