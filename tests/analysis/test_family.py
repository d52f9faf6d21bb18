"""Joint sign flips against an enumeration by hand, Holm's method against published values."""

from __future__ import annotations

import itertools
from math import inf, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from normexp.analysis.family import holm, joint_sign_flips

FIVE_SEEDS = {
    "a": [1.2, 0.8, 1.1, 0.9, 1.3],
    "b": [0.5, -0.2, 0.6, 0.1, 0.4],
    "c": [-0.3, 0.2, 0.1, -0.1, 0.05],
}


def by_seed(rows: dict[str, list[float]]) -> dict[str, dict[int, float]]:
    return {name: dict(enumerate(row)) for name, row in rows.items()}


def enumerated(rows: dict[str, list[float]]) -> dict[str, float]:
    """Step-down adjusted p-values by scipy's t of each of the 2ⁿ flips, as in the textbook."""
    n = len(next(iter(rows.values())))

    def sizes(signs: tuple[int, ...]) -> dict[str, float]:
        flipped = {name: np.array(row) * signs for name, row in rows.items()}
        return {name: abs(stats.ttest_1samp(row, 0).statistic) for name, row in flipped.items()}

    flips = [sizes(signs) for signs in itertools.product((1, -1), repeat=n)]
    observed = sizes((1,) * n)
    left = sorted(observed, key=lambda name: -observed[name])
    adjusted, largest = {}, 0.0
    while left:
        reached = [max(flip[x] for x in left) >= observed[left[0]] - 1e-9 for flip in flips]
        largest = max(largest, float(np.mean(reached)))
        adjusted[left.pop(0)] = largest
    return adjusted


def test_p_values_are_those_of_an_enumeration_of_all_flips() -> None:
    found = joint_sign_flips(by_seed(FIVE_SEEDS))
    expected = enumerated(FIVE_SEEDS)
    assert {name: each.p for name, each in found.items()} == pytest.approx(expected)
    assert expected["a"] == 2 / 32
    assert expected["a"] < expected["b"] < expected["c"]


@pytest.mark.parametrize("seed", range(5))
def test_p_values_of_random_tables_are_those_of_an_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = {name: (rng.normal(0.7, 1, 6)).tolist() for name in "abcd"}
    found = joint_sign_flips(by_seed(rows))
    assert {name: each.p for name, each in found.items()} == pytest.approx(enumerated(rows))


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (2, 0.5), (3, 0.25), (6, 0.03125), (8, 2 / 256)])
def test_the_smallest_p_is_two_over_two_to_the_n_whatever_the_size_of_the_family(
    n: int, p: float
) -> None:
    rng = np.random.default_rng(n)
    table = {i: dict(enumerate(50 + rng.normal(0, 1, n))) for i in range(32)}
    assert {each.p for each in joint_sign_flips(table).values()} == {p}


def test_differences_that_tie_but_for_rounding_are_ties() -> None:
    # Two pairs of 0.1 and −0.1: every flip is at least as far from 0 as their mean, 0.
    rounded = dict(enumerate([0.4 - 0.3, 0.3 - 0.2, 0.1 - 0.2, 0.2 - 0.3]))
    assert joint_sign_flips({"a": rounded})["a"].p == 1


def test_equal_differences_are_decided_by_their_number_and_have_no_width() -> None:
    rows = {"equal": dict.fromkeys(range(6), 0.3), "zero": dict.fromkeys(range(6), 0.0)}
    found = joint_sign_flips(rows)
    assert found["equal"].p == 2 / 64
    assert found["zero"].p == 1
    equal, zero = found["equal"].interval, found["zero"].interval
    assert equal is not None
    assert zero is not None
    assert (equal.low, equal.high) == pytest.approx((0.3, 0.3))
    assert (zero.low, zero.high) == (0, 0)
    assert not zero.excludes_zero()


def test_a_comparison_of_two_seeds_is_not_decided_and_does_not_hide_the_others() -> None:
    eight = dict(enumerate([2.1, 1.9, 2.2, 2.0, 1.8, 2.3, 2.05, 1.95]))
    alone = joint_sign_flips({"eight": eight})["eight"]
    found = joint_sign_flips({"eight": eight, "two": {0: 28.0, 1: 28.0}})
    assert found["two"].p >= 0.5
    assert found["two"].interval is None
    assert found["eight"] == alone


def test_comparisons_that_share_no_seed_are_adjusted_as_by_sidak() -> None:
    one = dict(enumerate([1.0, 1.2, 0.9, 1.1, 1.3, 0.8, 1.05]))
    other = {seed + 100: value for seed, value in one.items()}
    found = joint_sign_flips({"one": one, "other": other})
    assert found["one"].p == pytest.approx(1 - (1 - 2 / 128) ** 2)
    # The same differences on the same seeds are one comparison twice, and cost nothing.
    again = joint_sign_flips({"one": one, "again": one})
    assert again["one"].p == again["again"].p == 2 / 128


def test_many_seeds_are_flipped_at_random_and_come_near_to_the_exact_value() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, 16)
    signs = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
    first, again = (joint_sign_flips({0: dict(enumerate(d))})[0].p for _ in range(2))
    assert first == again == pytest.approx(exact, abs=0.02)


def test_fewer_than_six_seeds_have_no_simultaneous_interval() -> None:
    for n, there in ((5, False), (6, True)):
        [found] = joint_sign_flips({0: {i: 1 + 0.1 * i for i in range(n)}}).values()
        assert (found.interval is not None) == there


def test_the_interval_of_one_comparison_comes_near_to_students() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        d = rng.normal(3, 1, 10)
        interval = joint_sign_flips({0: dict(enumerate(d))})[0].interval
        assert interval is not None
        low, high = stats.t.interval(0.95, 9, d.mean(), stats.sem(d))
        ratios.append((interval.high - interval.low) / (high - low))
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)


def test_32_intervals_hold_together_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0.0, 4.0], 16)
    held = []
    for _ in range(300):
        cells = rng.normal(size=(33, 8))
        table = (cells[1:] - cells[0]) / sqrt(2) + truth[:, None]
        found = joint_sign_flips({j: dict(enumerate(row)) for j, row in enumerate(table)})
        intervals = [each.interval for each in found.values()]
        held.append(
            all(i and i.low <= mean <= i.high for i, mean in zip(intervals, truth, strict=True))
        )
    assert np.mean(held) > 0.95 - 3 * sqrt(0.05 * 0.95 / 300)


def test_an_interval_that_only_a_later_step_decides_is_cut_at_zero() -> None:
    first, second = [3.6, 2.8, 2.6, 3.5, 2.5, 4.4, 3.4], [1.0, -0.4, 0.2, 2.6, 1.4, 1.2, 3.1]
    found = joint_sign_flips(by_seed({"first": first, "second": second}))
    assert found["second"].p == pytest.approx(enumerated({"second": second})["second"]) == 6 / 128
    interval = found["second"].interval
    assert interval is not None
    assert interval.low == 0
    assert interval.excludes_zero()
    assert interval.text() == "(0.0, 2.7]"


@pytest.mark.parametrize("value", [nan, inf])
def test_a_difference_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        joint_sign_flips({"a": {0: 1.0, 1: value}})


def test_holm_is_as_worked_by_hand() -> None:
    # Sorted: 0.005 × 4, 0.01 × 3, 0.03 × 2, and 0.04 × 1, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
