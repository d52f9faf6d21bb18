"""The comparison of cells: paired by seed, tested, adjusted within a family, judged.

The report, the claims and the advice call it, and add their words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeVar

from normexp.analysis.family import holm
from normexp.analysis.rows import R
from normexp.analysis.statistics import ALPHA, LEVEL, Paired, paired
from normexp.errors import UserError

K = TypeVar("K")
Outcome = Literal["more", "less", "same", "open", "missing"]
"""How the first cell is to the second; `same`: they differ by less than the margin."""


@dataclass(frozen=True)
class Pairs:
    """What two cells found, for each seed that both have."""

    seeds: tuple[int, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    margin: float
    """Differences below it do not matter."""

    @classmethod
    def of(cls, first: Mapping[int, float], second: Mapping[int, float], margin: float) -> Pairs:
        """Pair values by seed."""
        seeds = tuple(sorted(first.keys() & second.keys()))
        sides = [tuple(side[seed] for seed in seeds) for side in (first, second)]
        return cls(seeds, sides[0], sides[1], margin)

    def tested(self, level: float = LEVEL) -> Paired | None:
        """Return what the differences tell, not adjusted; None where there is no pair."""
        return paired(self.first, self.second, self.margin, level) if self.seeds else None


@dataclass(frozen=True)
class Family:
    """The comparisons that are adjusted together, so that few of them are told by chance."""

    name: str
    size: int
    """How many count, which may be more than have runs."""


@dataclass(frozen=True)
class Comparison:
    """Two cells as a family of comparisons judges them."""

    family: Family
    pairs: Pairs
    paired: Paired | None
    """None where no seed has both."""
    p: float
    """That there is no difference, adjusted within the family; 1 without a pair."""
    p_equivalent: float
    """That the difference is as large as the margin, adjusted likewise."""

    @property
    def outcome(self) -> Outcome:
        """How the first is to the second."""
        return judge(self.paired, self.p, self.p_equivalent)


def compare(family: Family, pairs: Sequence[Pairs], level: float = LEVEL) -> list[Comparison]:
    """Return the comparison of each of the `pairs` within their family."""
    results = [each.tested(level) for each in pairs]
    adjusted = iter(adjust(family, [result for result in results if result is not None]))
    return [
        Comparison(family, each, result, *((1.0, 1.0) if result is None else next(adjusted)))
        for each, result in zip(pairs, results, strict=True)
    ]


def adjust(family: Family, results: Sequence[Paired]) -> list[tuple[float, float]]:
    """Return `p` and `p_equivalent` of each result, by Holm's method over the family."""
    absent = [1.0] * (family.size - len(results))
    p = holm([result.p for result in results] + absent)
    p_equivalent = holm([result.p_equivalent for result in results] + absent)
    return list(zip(p, p_equivalent, strict=True))[: len(results)]


def judge(result: Paired | None, p: float, p_equivalent: float) -> Outcome:
    """Return what may be said of a result whose adjusted p-values are these."""
    if result is None:
        return "missing"
    if p_equivalent <= ALPHA:
        return "same"
    if p <= ALPHA:
        return "more" if result.mean > 0 else "less"
    return "open"


def by_seed(rows: Iterable[R], measure: Callable[[R], float | None]) -> dict[int, float]:
    """Return the measure of each row that has it, by the row's seed.

    Raises UserError where two rows share a seed, as they differ in something else.
    """
    seen: dict[int, R] = {}
    values: dict[int, float] = {}
    for row in rows:
        value = measure(row)
        if value is None:
            continue
        if other := seen.get(row.seed):
            keys = [key for key in row.factors if row.factors[key] != other.factors.get(key)]
            raise UserError(
                f"{row.name} and {other.name} have one seed and differ in {', '.join(keys)}; "
                "tell such runs apart before they are compared"
            )
        seen[row.seed] = row
        values[row.seed] = value
    return values


def ranked(found: Mapping[K, Sequence[float]]) -> list[K]:
    """Return the keys by the mean of their values, the highest first; those without have none."""
    means = {key: fmean(values) for key, values in found.items() if values}
    return sorted(means, key=lambda key: -means[key])
