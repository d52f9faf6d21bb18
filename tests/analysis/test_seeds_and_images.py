"""Crossed random effects against a table worked by hand and simulations of known components."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from normexp.analysis.seeds_and_images import (
    accuracy_over_images,
    correlation_of_pairs,
    difference_over_images,
)


def test_a_small_table_is_as_worked_by_hand() -> None:
    # Means 2/3; of rows 1, 2/3, 1/3; of columns 1, 1/3, 2/3.
    # S²seeds = S²images = (1/9 + 0 + 1/9)/2 = 1/9.
    # Residuals by row: −1/3 1/3 0; 0 −1/3 1/3; 1/3 0 −1/3. S²residual = (6/9)/4 = 1/6.
    # Both mean squares, 3 · 1/9 = 1/3, are above 1/6: variance = 1/27 + 1/27 − 1/54 = 1/18.
    # Degrees = (1/18)² / ((1/27)²/2 + (1/27)²/2 + (1/54)²/4) = (1/324) / (1/729 + 1/11664).
    right = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
    found = accuracy_over_images(right)
    assert found.mean == pytest.approx(2 / 3)
    assert found.error == pytest.approx(sqrt(1 / 18))
    assert found.degrees == pytest.approx((1 / 324) / (1 / 729 + 1 / 11664))
    assert found.interval.high == 1  # 2/3 + 4.2 · 0.24, cut
    assert found.interval.low == pytest.approx(
        max(0, 2 / 3 - stats.t.ppf(0.975, found.degrees) * sqrt(1 / 18))
    )


def test_seeds_that_agree_leave_the_interval_of_the_images() -> None:
    right = np.tile(np.arange(100) % 4 > 0, (5, 1))
    found = accuracy_over_images(right)
    low, high = stats.t.interval(0.95, 99, 0.75, stats.sem(right[0]))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_the_images_of_a_test_set_without_any_spread_leave_the_interval_of_the_seeds() -> None:
    # Of each seed either all images are right or none is.
    rows = np.array([1, 1, 0, 1, 0, 1], dtype=bool)
    found = accuracy_over_images(np.tile(rows[:, None], (1, 50)))
    assert found.error == pytest.approx(stats.sem(rows))
    assert found.degrees == 5


def test_a_component_estimated_below_zero_counts_as_zero() -> None:
    # Rows and columns have equal means, so that the sum of the three terms would be below 0.
    right = np.array([[1, 0], [0, 1]], dtype=bool)
    found = accuracy_over_images(right)
    assert found.error == pytest.approx(sqrt(1 / 4))  # S²residual = 1, over 2 · 2
    assert found.degrees == 1


def test_all_images_right_have_no_width() -> None:
    found = accuracy_over_images(np.ones((3, 10), dtype=bool))
    assert (found.mean, found.interval.low, found.interval.high) == (1, 1, 1)


def test_the_variance_is_that_of_the_components_it_was_made_from() -> None:
    # P(right) = 0.5 + seed + image, of deviations 0.05 and 0.2; what is left is Bernoulli.
    rng, n, m = np.random.default_rng(0), 6, 200
    variances, means = [], []
    for _ in range(1500):
        seed = rng.uniform(-1, 1, (n, 1)) * 0.05 * sqrt(3)
        image = rng.uniform(-1, 1, (1, m)) * 0.2 * sqrt(3)
        right = rng.random((n, m)) < 0.5 + seed + image
        found = accuracy_over_images(right)
        variances.append(found.error**2)
        means.append(found.mean)
    left = 0.25 - 0.05**2 - 0.2**2
    expected = 0.05**2 / n + 0.2**2 / m + left / (n * m)
    assert np.mean(variances) == pytest.approx(expected, rel=0.05)
    assert np.var(means) == pytest.approx(expected, rel=0.12)


def test_the_interval_of_a_difference_covers_other_seeds_and_other_images() -> None:
    rng, n, m, covered = np.random.default_rng(1), 6, 200, []
    for _ in range(500):
        image = rng.uniform(-0.2, 0.2, (1, m))
        own = rng.uniform(-0.15, 0.15, (2, 1, m)) + rng.uniform(-0.03, 0.03, (2, n, 1))
        chance = np.array([0.6, 0.5])[:, None, None] + image + own
        first, second = rng.random((2, n, m)) < chance
        interval = difference_over_images(first, second).interval
        covered.append(interval.low <= 0.1 <= interval.high)
    assert np.mean(covered) > 0.95 - 3 * sqrt(0.05 * 0.95 / 500)


def test_a_difference_is_that_of_the_two_accuracies_and_hard_images_cancel() -> None:
    rng = np.random.default_rng(2)
    chances = np.where(rng.random((1, 500)) < 0.7, 0.98, 0.02)
    first, second = rng.random((2, 5, 500)) < chances
    found = difference_over_images(first, second)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.error < accuracy_over_images(first).error


def test_the_correlation_of_pairs_is_numpys() -> None:
    first, second = np.array([70.0, 71.0, 69.0, 72.0]), np.array([60.0, 62.0, 59.5, 61.0])
    assert correlation_of_pairs(first, second) == pytest.approx(stats.pearsonr(first, second)[0])
    assert correlation_of_pairs(first[:2], second[:2]) is None
    assert correlation_of_pairs(first, np.full(4, 60.0)) is None


def test_tables_that_cannot_be_paired_or_are_too_small_are_refused() -> None:
    right = np.ones((3, 10), dtype=bool)
    with pytest.raises(ValueError, match=r"\(3, 10\) and \(2, 10\)"):
        difference_over_images(right, right[:2])
    with pytest.raises(ValueError, match=r"\(1, 10\)"):
        accuracy_over_images(right[:1])
