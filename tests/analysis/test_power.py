"""The number of seeds that is told has the power that is told: simulated with scipy's tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normexp.analysis.power import MANY_SEEDS, MIN_SEEDS, seeds_to_decide

STUDIES = 20_000


def of(mean: float, sd: float) -> list[float]:
    """Eight differences of exactly this mean and standard deviation."""
    x = np.arange(8.0)
    return list(mean + sd * (x - x.mean()) / x.std(ddof=1))


def studies(mean: float, sd: float, seeds: int) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, sd, (STUDIES, seeds))


def found_the_same(mean: float, sd: float, margin: float, seeds: int) -> float:
    x = studies(mean, sd, seeds)
    above = stats.ttest_1samp(x, -margin, axis=1, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, axis=1, alternative="less").pvalue
    return float((np.maximum(above, below) <= 0.05).mean())


def found_different(mean: float, sd: float, seeds: int) -> float:
    return float((stats.ttest_1samp(studies(mean, sd, seeds), 0, axis=1).pvalue <= 0.05).mean())


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.5), (0.0, 1.0), (0.1, 0.7)])
def test_both_one_sided_tests_pass_four_times_in_five(mean: float, sd: float) -> None:
    seeds = seeds_to_decide(of(mean, sd), 0.5)
    assert found_the_same(mean, sd, 0.5, seeds) > 0.79
    assert found_the_same(mean, sd, 0.5, seeds - 1) < 0.81


@pytest.mark.parametrize(("mean", "sd"), [(1.0, 1.0), (1.0, 2.0)])
def test_a_difference_is_found_four_times_in_five(mean: float, sd: float) -> None:
    seeds = seeds_to_decide(of(mean, sd), 0.5)
    assert found_different(mean, sd, seeds) > 0.79
    assert found_different(mean, sd, seeds - 1) < 0.81


def test_at_six_seeds_all_signs_have_to_agree() -> None:
    for effect in (1.6, 1.9):
        seeds = seeds_to_decide(of(effect, 1.0), 0.5)
        agree = (studies(effect, 1.0, MIN_SEEDS) > 0).all(axis=1).mean()
        assert (seeds == MIN_SEEDS) == (agree >= 0.8)


def test_what_lies_at_the_margin_takes_as_many_seeds_as_are_told_at_most() -> None:
    assert seeds_to_decide(of(0.0, 100.0), 0.5) == MANY_SEEDS
    assert seeds_to_decide(of(0.0001, 1.0), 1e-6) == MANY_SEEDS
