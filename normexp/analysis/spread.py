"""The mean of a cell's runs with Student's interval, or their points where there are too few."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from normexp.analysis.intervals import ALPHA, Interval, finite, t_interval

LEVEL = 1 - ALPHA  # of intervals, where nobody chooses another
Range = tuple[float, float]
PERCENT: Range = (0.0, 100.0)
SHARE: Range = (0.0, 1.0)  # what a mean may be; its interval is cut there


@dataclass(frozen=True)
class Spread:
    """What the runs of a cell found, and where their mean may lie."""

    values: tuple[float, ...]
    interval: Interval | None  # None for one or two values, which are shown as they are

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return fmean(self.values)


def spread(values: Iterable[float], level: float = LEVEL, within: Range | None = None) -> Spread:
    """Return values with the t interval of their mean; raises ValueError on nan or infinity."""
    x = tuple(finite(values).tolist())
    interval = t_interval(x, level)
    return Spread(x, interval.clipped(*within) if interval and within else interval)
