"""Every statistic against scipy, a published value, or one worked by hand."""

from __future__ import annotations

import itertools
from math import nan, sqrt

import numpy as np
import pytest
from scipy import stats

from normexp.analysis.family import holm
from normexp.analysis.statistics import Paired, Spread, paired, seeds_for_family, spread

FIRST = [71.2, 70.4, 72.9, 71.8, 70.9, 73.1]
SECOND = [70.1, 70.9, 71.0, 70.2, 70.3, 71.5]
DIFFERENCES = np.subtract(FIRST, SECOND)


def test_a_spread_has_the_t_interval() -> None:
    found = spread(FIRST, level=0.9)
    low, high = stats.t.interval(0.9, 5, np.mean(FIRST), stats.sem(FIRST))
    assert found.n == 6
    assert found.mean == pytest.approx(np.mean(FIRST))
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.sd == pytest.approx(np.std(FIRST, ddof=1))


def test_a_paired_difference_has_the_t_interval_of_scipy() -> None:
    found = paired(FIRST, SECOND, margin=0.5)
    expected = stats.ttest_rel(FIRST, SECOND).confidence_interval(0.95)
    assert found.mean == pytest.approx(DIFFERENCES.mean())
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_the_p_value_counts_all_flips_of_signs(n: int) -> None:
    d = DIFFERENCES[:n]
    means = [abs(np.mean(d * signs)) for signs in itertools.product((1, -1), repeat=n)]
    expected = np.mean([mean >= abs(d.mean()) - 1e-9 for mean in means])
    assert paired(FIRST[:n], SECOND[:n], 0.5).p == pytest.approx(expected)


@pytest.mark.parametrize(("n", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (8, 2 / 256)])
def test_the_smallest_p_value_is_two_over_two_to_the_n(n: int, p: float) -> None:
    assert paired([1.0 + 0.1 * i for i in range(n)], [0.0] * n, 0.5).p == pytest.approx(p)


def test_ties_are_counted_although_they_differ_by_rounding() -> None:
    # Differences 0.1, 0.1, −0.1, −0.1: every flip is at least as far from 0 as their mean, 0.
    assert paired([0.4, 0.3, 0.1, 0.2], [0.3, 0.2, 0.2, 0.3], 0.5).p == 1


def test_many_seeds_are_flipped_at_random_and_come_near_to_the_exact_value() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, 16)
    signs = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
    first, again = (paired(d.tolist(), [0.0] * 16, 0.5).p for _ in range(2))
    assert first == again == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("margin", [0.2, 1.0, 3.0])
def test_equivalence_is_the_larger_of_two_one_sided_t_tests(margin: float) -> None:
    above = stats.ttest_1samp(DIFFERENCES, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(DIFFERENCES, margin, alternative="less").pvalue
    assert paired(FIRST, SECOND, margin).p_equivalent == pytest.approx(max(above, below))
    assert paired(SECOND, FIRST, margin).p_equivalent == pytest.approx(max(above, below))


@pytest.mark.parametrize(("n", "in_sd"), [(3, 3.3), (6, 1.44), (10, 1.0)])
def test_the_detectable_difference_is_as_tabulated(n: int, in_sd: float) -> None:
    d = np.linspace(-1, 1, n)
    found = paired(d.tolist(), [0.0] * n, 0.5)
    assert found.detectable == pytest.approx(in_sd * np.std(d, ddof=1), rel=0.02)


def test_four_in_five_studies_show_a_difference_of_the_detectable_size() -> None:
    d = np.linspace(-1, 1, 6)
    detectable = paired(d.tolist(), [0.0] * 6, 0.5).detectable
    assert detectable is not None
    studies = np.random.default_rng(0).normal(detectable, np.std(d, ddof=1), (20_000, 6))
    share = np.mean(stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05)
    assert share == pytest.approx(0.8, abs=0.01)


# Tabulated for the paired t test at 5 %, two-sided, power 80 % (G*Power, Cohen 1988).
@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (3.0, 6)])
def test_the_seeds_needed_are_as_tabulated_and_six_at_least(effect: float, n: int) -> None:
    d = np.array([-1.0, 1.0, 0.0, -1.0, 1.0])
    d = d / d.std(ddof=1) + effect
    assert paired(d.tolist(), [0.0] * 5, 0.5).seeds_needed == n


@pytest.mark.parametrize(("size", "seeds"), [(1, 6), (2, 7), (6, 8), (9, 9), (160, 13)])
def test_a_family_needs_seeds_for_its_smallest_p(size: int, seeds: int) -> None:
    assert seeds_for_family(size) == seeds
    assert size * 2 / 2**seeds <= 0.05
    assert seeds == 6 or size * 2 / 2 ** (seeds - 1) > 0.05


# Edges.


def test_one_seed_tells_its_value_and_nothing_else() -> None:
    assert spread([3.0]) == Spread(1, 3.0, None, None, None)
    assert paired([3.0], [1.0], 0.5) == Paired(1, 2.0, None, None, 1.0, 1.0, None, None, None)


def test_identical_runs_are_the_same() -> None:
    found = paired([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 0.5)
    assert found == Paired(3, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, None)


def test_differences_that_are_rounding_only_are_none() -> None:
    found = paired([0.1 + 0.2, 0.7], [0.3, 0.7], 0.5)
    assert found == Paired(2, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, None)


def test_a_constant_difference_has_no_width() -> None:
    found = paired([0.3, 0.4, 0.5], [0.2, 0.3, 0.4], 0.05)
    assert (found.sd, found.p, found.p_equivalent, found.seeds_needed) == (0, 0.25, 1, 6)
    assert found.low == found.high == pytest.approx(0.1)
    assert paired([0.3, 0.4], [0.2, 0.3], 0.5).p_equivalent == 0


@pytest.mark.parametrize("values", [[], [nan], [1.0, nan], [float("inf"), 1.0]])
def test_what_is_no_number_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        spread(values)
    with pytest.raises(ValueError, match="finite"):
        paired(values, values, 0.5)


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values cannot be paired with 1"):
        paired([1.0, 2.0], [1.0], 0.5)
    with pytest.raises(ValueError, match="margin=-1"):
        paired([1.0], [1.0], -1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, nan])


# What is said of many studies.


def test_a_thousand_studies_without_a_difference_alarm_in_at_most_one_of_twenty() -> None:
    """Two norms against a third, over seven seeds, the fewest with which Holm lets one alarm."""
    draw = np.random.default_rng(0)
    alarms, covered, spreads = [], [], []
    for _ in range(1000):
        seeds = draw.normal(70, 1, 7)  # what the norms of one seed share
        cells = [(seeds + draw.normal(0, 0.3, 7)).tolist() for _ in range(3)]
        found = [paired(cell, cells[0], 0.1) for cell in cells[1:]]
        alarms.append(min(holm([each.p for each in found])) <= 0.05)
        for each in found:
            assert each.low is not None
            assert each.high is not None
            covered.append(each.low <= 0 <= each.high)
        own = spread(cells[0])
        assert own.low is not None
        assert own.high is not None
        spreads.append(own.low <= 70 <= own.high)
    assert 0.005 < np.mean(alarms) <= 0.05
    assert 0.93 <= np.mean(covered) <= 0.97
    assert 0.93 <= np.mean(spreads) <= 0.97


def test_the_sign_flip_test_finds_a_known_effect_as_often_as_it_should() -> None:
    """With six seeds p is below 5 % if all differences have one sign: Φ(d)⁶ of the studies."""
    draw, effect = np.random.default_rng(0), 1.5
    found = [paired(draw.normal(effect, 1, 6).tolist(), [0.0] * 6, 0.5).p for _ in range(600)]
    power = stats.norm.cdf(effect) ** 6 + stats.norm.cdf(-effect) ** 6
    assert np.mean(np.array(found) < 0.05) == pytest.approx(power, abs=4 * sqrt(0.25 / 600))


def test_equivalence_is_claimed_in_one_of_twenty_studies_at_the_margin() -> None:
    draw = np.random.default_rng(0)
    claimed = [
        paired(draw.normal(0.5, 0.2, 8).tolist(), [0.0] * 8, 0.5).p_equivalent <= 0.05
        for _ in range(600)
    ]
    assert np.mean(claimed) == pytest.approx(0.05, abs=4 * sqrt(0.05 * 0.95 / 600))
