"""e-processes against the integrals that define them, and their error when looked at each seed."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from normexp.analysis.family import holm
from normexp.analysis.sequential import (
    PRIOR_SD,
    confidence_sequence,
    p_difference,
    p_equivalence,
    sequential_difference,
    sequential_equivalence,
)

X = np.array([1.1, 0.4, 1.6, 0.9, 1.3])
STUDIES = 1000
WITHIN_ERROR = 0.05 + 3 * sqrt(0.05 * 0.95 / STUDIES)


def bayes_factor(x: NDArray[np.float64], low: float, high: float) -> float:
    """∫ f(t; δ) π(δ) dδ / f(t; 0), f of scipy's noncentral t, π the normal prior on (low, high)."""
    n = len(x)
    t = float(stats.ttest_1samp(x, 0).statistic)

    def integrand(effect: float) -> float:
        density = float(stats.nct.pdf(t, n - 1, effect * sqrt(n)))
        return density * float(stats.norm.pdf(effect, 0, PRIOR_SD))

    mass = float(stats.norm.cdf(high, 0, PRIOR_SD) - stats.norm.cdf(low, 0, PRIOR_SD))
    integral = float(integrate.quad(integrand, low, high)[0])
    return integral / mass / float(stats.t.pdf(t, n - 1))


def test_e_is_the_ratio_of_noncentral_to_central_t() -> None:
    factors = [1.0] + [bayes_factor(X[:n], -8, 8) for n in range(2, 6)]
    expected = 1 / np.maximum.accumulate(factors)
    assert p_difference(X) == pytest.approx(np.minimum(expected, 1), rel=1e-3)


def test_the_one_sided_e_takes_the_half_of_the_prior_below_the_margin() -> None:
    x, margin = X - X.mean(), 2.0
    below = [1.0] + [bayes_factor(x[:n] - margin, -8, 0) for n in range(2, 6)]
    above = [1.0] + [bayes_factor(x[:n] + margin, 0, 8) for n in range(2, 6)]
    expected = np.maximum(*(1 / np.maximum.accumulate(each) for each in (below, above)))
    assert p_equivalence(x, margin) == pytest.approx(np.minimum(expected, 1), rel=1e-3)
    assert expected[-1] < 0.2


def test_p_never_rises_and_takes_no_notice_of_units() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(1, 1, (20, 15))
    assert (np.diff(p_difference(x), axis=-1) <= 0).all()
    assert p_difference(100 * x) == pytest.approx(p_difference(x))
    assert p_equivalence(100 * x, 50) == pytest.approx(p_equivalence(x, 0.5))


def draws(kind: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "lognormal":
        return rng.lognormal(size=shape)
    return rng.normal(size=shape) - 60 * (rng.random(shape) < 0.1)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "a tenth collapsed"])
def test_cells_of_one_kind_are_rarely_called_different_at_any_look(kind: str) -> None:
    first, second = draws(kind, (2, STUDIES, 20))
    assert (p_difference(first - second)[:, -1] <= 0.05).mean() <= WITHIN_ERROR


def test_looking_at_each_seed_with_a_t_test_errs_far_more_often() -> None:
    x = draws("normal", (STUDIES, 20))
    p = [stats.ttest_1samp(x[:, :n], 0, axis=1).pvalue for n in range(3, 21)]
    assert (np.min(p, axis=0) <= 0.05).mean() > 0.15


@pytest.mark.parametrize("mean", [0.5, 0.7])
def test_a_difference_of_the_margin_or_more_is_rarely_called_the_same(mean: float) -> None:
    x = draws("normal", (STUDIES, 20)) / 4 + mean
    assert (p_equivalence(x, 0.5)[:, -1] <= 0.05).mean() <= WITHIN_ERROR


def test_three_points_are_decided_within_six_seeds_in_a_family_of_four() -> None:
    x = 0.5 * draws("normal", (STUDIES, 20)) + 3
    assert (p_difference(x)[:, 5] <= 0.05 / 4).mean() > 0.95
    assert (p_difference(x)[:, 2] > 0.05).all()  # three seeds decide nothing


def test_no_difference_is_called_the_same_before_twenty_seeds() -> None:
    x = 0.25 * draws("normal", (STUDIES, 20))
    assert (p_equivalence(x, 0.5)[:, 9] <= 0.05).mean() > 0.9


def test_the_confidence_sequence_holds_the_mean_at_all_looks_together() -> None:
    misses = 0
    for x in draws("normal", (300, 12)):
        looks = [confidence_sequence(x[:n]) for n in range(3, 13)]
        misses += any(look is not None and not look.low <= 0 <= look.high for look in looks)
    assert misses / 300 <= 0.05 + 3 * sqrt(0.05 * 0.95 / 300)


def test_the_confidence_sequence_ends_where_p_is_five_percent() -> None:
    interval = confidence_sequence(X)
    assert interval is not None
    for end in (interval.low, interval.high):
        assert p_difference(X - end)[-1] == pytest.approx(0.05)


def test_a_family_is_adjusted_by_holm_at_every_look() -> None:
    table = {j: dict(enumerate(row)) for j, row in enumerate(draws("normal", (4, 7)) + 1)}
    rows = [np.array(list(each.values())) for each in table.values()]
    different, same = sequential_difference(table), sequential_equivalence(table, 0.5)
    assert [each.p for each in different.values()] == holm([p_difference(x)[-1] for x in rows])
    assert [each.p for each in same.values()] == holm([p_equivalence(x, 0.5)[-1] for x in rows])


def test_equal_differences_count_as_signs_only() -> None:
    # P(n equal signs) = 2/2ⁿ: the most that differences which are not normal can say.
    assert p_difference(np.full(6, 3.0)) == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32])
    assert p_difference(np.zeros(6)) == pytest.approx(np.ones(6))
    assert p_equivalence(np.zeros(5), 0.5)[-1] == pytest.approx(1 / 32)
    assert p_equivalence(np.full(5, 0.7), 0.5)[-1] == 1


def test_too_few_seeds_have_no_interval() -> None:
    assert confidence_sequence(X[:1]) is None
    assert confidence_sequence(X[:3]) is None
    assert confidence_sequence(X) is not None
