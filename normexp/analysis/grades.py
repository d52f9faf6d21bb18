"""The grade of a comparison: how sure one may be of it, with the interval that says the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from normexp.analysis.equivalence import equivalence
from normexp.analysis.family import ROUNDING, K, Seeds, joint_sign_flips
from normexp.analysis.intervals import ALPHA, Adjusted, Interval, finite, t_interval
from normexp.analysis.sequential import (
    confidence_sequence,
    sequential_difference,
    sequential_equivalence,
)
from normexp.runs.runtime import Design
from normexp.runs.text import plural


class Grade(StrEnum):
    """How sure one may be; the first that fits."""

    NOT_ABOVE_CHANCE = "not above chance"  # neither cell has learned: there is nothing to compare
    SAME = "the same"  # the difference is below the margin; adjusted p ≤ 5 %
    DECIDED = "decided"  # the difference is not 0; adjusted p ≤ 5 %
    LIKELY = "likely"  # the unadjusted 95 % interval excludes 0
    OPEN = "open"


@dataclass(frozen=True)
class Evidence:
    """What the tests of one design say of one comparison."""

    different: Adjusted
    same: Adjusted
    unadjusted: Interval | None  # the 95 % interval of this comparison alone


@dataclass(frozen=True)
class Graded:
    """The grade of one comparison, and what to show with it."""

    grade: Grade
    seeds: int
    mean: float
    interval: Interval | None
    """Of the test that the grade rests on: within the margin for the same, without 0 for decided
    (simultaneous) and likely (unadjusted), else the unadjusted one. None for fewer than three
    seeds, where nothing was learned, and where so few seeds give none."""
    p: float  # of no difference, adjusted for the family
    below_margin: bool  # the mean is nearer to 0 than the margin
    lead: str

    @property
    def is_decided_below(self) -> bool:
        """Whether it is decided, but nearer to 0 than the margin."""
        return self.grade is Grade.DECIDED and self.below_margin

    def text(self) -> str:
        """Return the grade in words, as "decided, but below the margin"."""
        return f"{self.grade}, but below the margin" if self.is_decided_below else str(self.grade)


def fixed_design(differences: Mapping[K, Seeds], margin: float) -> dict[K, Evidence]:
    """Return the evidence where the number of seeds was planned: sign flips and t tests.

    `differences` holds the family: all comparisons of one claim or one table, by seed. Those not
    above chance are no part of it.
    """
    different = joint_sign_flips(differences)
    same = equivalence(differences, margin)
    return {
        key: Evidence(different[key], same[key], t_interval(each.values()))
        for key, each in differences.items()
    }


def sequential_design(differences: Mapping[K, Seeds], margin: float) -> dict[K, Evidence]:
    """Return the evidence where seeds were added after a look, in order of training."""
    different = sequential_difference(differences)
    same = sequential_equivalence(differences, margin)
    return {
        key: Evidence(different[key], same[key], confidence_sequence(finite(each.values())))
        for key, each in differences.items()
    }


EVIDENCE = {Design.PLANNED: fixed_design, Design.SEQUENTIAL: sequential_design}


def grade(differences: Seeds, evidence: Evidence, margin: float, unit: str = "points") -> Graded:
    """Return the grade of a comparison of which at least one cell is above chance."""
    n = len(differences)
    mean = float(finite(differences.values()).mean())
    found, interval = _grade(n, evidence)
    if interval is not None and _contradicts(mean, found, interval, margin):
        found, interval = Grade.OPEN, None
    return Graded(
        found,
        n,
        mean,
        interval if n >= 3 else None,
        evidence.different.p,
        abs(mean) < margin,
        lead(differences, unit),
    )


def at_chance(differences: Seeds, unit: str = "points") -> Graded:
    """Return the grade of a comparison of two cells that are both not above chance."""
    mean = float(finite(differences.values()).mean())
    words = lead(differences, unit)
    return Graded(Grade.NOT_ABOVE_CHANCE, len(differences), mean, None, 1.0, False, words)


def lead(differences: Seeds, unit: str = "points") -> str:
    """Return the lead in numbers, as "ahead by 28.0 points in 2 of 2 seeds".

    Means that differ by rounding only are equal.
    """
    x = finite(differences.values())
    mean = float(x.mean())
    if abs(mean) <= ROUNDING * float(abs(x).max()):
        return f"level over {plural(len(x), 'seed')}"
    side = "ahead" if mean > 0 else "behind"
    seeds = int(np.sum(np.sign(x) == np.sign(mean)))
    amount = f"{abs(mean):.1f} points" if unit == "points" else f"{abs(mean):.3g} {unit}".strip()
    return f"{side} by {amount} in {seeds} of {plural(len(x), 'seed')}"


def _contradicts(mean: float, found: Grade, interval: Interval, margin: float) -> bool:
    """Whether seeds that were added after looks say the contrary of what the first ones decided.

    An anytime-valid test then stands by its first answer.
    """
    if found is Grade.SAME:
        return abs(mean) > margin
    return interval.excludes_zero() and mean * (interval.low + interval.high) < 0


def _grade(n: int, evidence: Evidence) -> tuple[Grade, Interval | None]:
    unadjusted = evidence.unadjusted
    if n >= 3 and evidence.same.p <= ALPHA:
        return Grade.SAME, evidence.same.interval
    if n >= 3 and evidence.different.p <= ALPHA:
        return Grade.DECIDED, evidence.different.interval
    if n >= 3 and unadjusted is not None and unadjusted.excludes_zero():
        return Grade.LIKELY, unadjusted
    return Grade.OPEN, unadjusted
