"""Grades by the evidence, in their order, and always beside an interval that says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from normexp.analysis.grades import (
    Evidence,
    Grade,
    Graded,
    at_chance,
    fixed_design,
    grade,
    lead,
    sequential_design,
)
from normexp.analysis.intervals import Adjusted, Interval

MARGIN = 0.5
MEANS, SPREADS = (-1.0, 0.0, 0.0, 0.3, 1.0, 3.0), (0.0, 0.1, 0.5, 1.0)


def alone(*values: float) -> Graded:
    differences = dict(enumerate(values))
    return grade(differences, fixed_design({0: differences}, MARGIN)[0], MARGIN)


def test_two_seeds_are_open_with_the_lead_in_numbers_and_no_interval() -> None:
    found = alone(28.2, 27.8)
    assert found.grade is Grade.OPEN
    assert found.interval is None
    assert found.lead == "ahead by 28.0 points in 2 of 2 seeds"


def test_three_seeds_28_points_ahead_are_likely() -> None:
    found = alone(28.2, 27.8, 28.1)
    assert found.grade is Grade.LIKELY
    assert found.interval is not None
    assert found.interval.low > 25


def test_six_seeds_28_points_ahead_are_decided() -> None:
    found = alone(28.2, 27.8, 28.1, 27.5, 28.4, 28.0)
    assert found.text() == "decided"
    assert found.p == 2 / 64


def test_seeds_that_disagree_are_open() -> None:
    found = alone(2.0, -1.5, 0.7, -0.9)
    assert found.grade is Grade.OPEN
    assert found.interval is not None
    assert not found.interval.excludes_zero()


def test_a_sure_difference_within_the_margin_is_the_same() -> None:
    found = alone(0.21, 0.2, 0.22, 0.19, 0.2, 0.21)
    assert found.grade is Grade.SAME
    assert found.interval is not None
    assert found.interval.within(MARGIN)


def test_a_decided_difference_below_the_margin_says_so() -> None:
    found = alone(0.1, 0.2, 0.3, 0.5, 0.8, 0.9)
    assert found.text() == "decided, but below the margin"
    assert alone(1.1, 1.2, 1.3, 1.5, 1.8, 1.9).text() == "decided"


def test_cells_at_chance_are_not_compared() -> None:
    found = at_chance({0: 3.0, 1: 3.1, 2: 2.9})
    assert found.text() == "not above chance"
    assert found.interval is None


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({0: -1.5, 1: -2.5, 2: 1.0}, "behind by 1.0 points in 2 of 3 seeds"),
        ({0: 1.0, 1: -1.0}, "level over 2 seeds"),
        ({0: 50.3 - 50.0, 1: 50.0 - 50.1, 2: 50.0 - 50.2}, "level over 3 seeds"),
        ({0: 1e-12, 1: 2e-12}, "ahead by 0.0 points in 2 of 2 seeds"),
    ],
)
def test_the_lead_counts_the_seeds_on_its_side(differences: dict[int, float], words: str) -> None:
    assert lead(differences) == words


def test_a_large_difference_of_three_seeds_goes_on_by_a_sequential_design_until_it_is_decided() -> (
    None
):
    values = [28.2, 27.8, 28.1, 27.5, 28.4, 28.0, 28.1]
    grades = []
    for n in range(2, 8):
        differences = dict(enumerate(values[:n]))
        evidence = sequential_design({0: differences}, MARGIN)[0]
        grades.append(grade(differences, evidence, MARGIN).grade)
    assert grades[:2] == [Grade.OPEN, Grade.OPEN]
    assert grades[-1] is Grade.DECIDED
    assert Grade.OPEN not in grades[grades.index(Grade.DECIDED) :]


def agrees(found: Graded, evidence: Evidence) -> bool:
    shown = found.interval
    if found.grade is Grade.SAME:
        return shown is not None and shown.within(MARGIN)
    if found.grade in (Grade.DECIDED, Grade.LIKELY):
        adjusted = evidence.different.p <= 0.05
        return (
            shown is not None
            and shown.excludes_zero()
            and adjusted == (found.grade is Grade.DECIDED)
        )
    return shown is None or not shown.excludes_zero()


def simulated_table(rng: np.random.Generator) -> dict[int, dict[int, float]]:
    """Comparisons of one to nine seeds, some shared; some rounded so that they tie."""
    seeds, digits = rng.integers(1, 10), int(rng.integers(0, 4))
    table = {}
    for j in range(rng.integers(1, 5)):
        own = rng.permutation(12)[:seeds] if rng.random() < 0.3 else np.arange(seeds)
        mean, spread = MEANS[rng.integers(6)], SPREADS[rng.integers(4)]
        values = rng.normal(mean, spread, seeds).round(digits)
        table[j] = dict(zip(own.tolist(), values.tolist(), strict=True))
    return table


@pytest.mark.parametrize(
    ("design", "tables", "seed", "least"),
    [
        pytest.param(fixed_design, 10_000, 0, 500, marks=pytest.mark.slow, id="fixed"),
        pytest.param(sequential_design, 250, 1, 5, id="sequential"),
    ],
)
def test_grade_and_shown_interval_agree_in_simulated_tables(
    design: Callable[..., Mapping[int, Evidence]], tables: int, seed: int, least: int
) -> None:
    rng = np.random.default_rng(seed)
    seen = dict.fromkeys(Grade, 0)
    for _ in range(tables):
        table = simulated_table(rng)
        for j, evidence in design(table, MARGIN).items():
            found = grade(table[j], evidence, MARGIN)
            assert agrees(found, evidence), (table, j, found)
            seen[found.grade] += 1
    assert all(count > least for name, count in seen.items() if name is not Grade.NOT_ABOVE_CHANCE)


def test_the_order_of_grades_is_the_same_decided_likely_open() -> None:
    yes, no = Adjusted(0.01, Interval(0.1, 0.4)), Adjusted(0.5, Interval(-1, 1))
    differences = {0: 0.2, 1: 0.3, 2: 0.25}
    cases = [
        (Evidence(yes, yes, Interval(0.1, 0.4)), Grade.SAME),
        (Evidence(yes, no, Interval(0.1, 0.4)), Grade.DECIDED),
        (Evidence(no, no, Interval(0.1, 0.4)), Grade.LIKELY),
        (Evidence(no, no, Interval(-0.1, 0.4)), Grade.OPEN),
    ]
    assert [grade(differences, evidence, MARGIN).grade for evidence, _ in cases] == [
        expected for _, expected in cases
    ]
