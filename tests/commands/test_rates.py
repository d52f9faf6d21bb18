"""A rate is chosen the same way for every cell."""

from __future__ import annotations

import numpy as np
import pytest

from normexp.analysis.grades import Grade, fixed_design, grade
from normexp.commands.rates import FACTORS, Rates, chosen, two_best, widened

SEEDS = (1000, 1001, 1002)
SEED_SD = 0.2
"""Points: ResNet-20 on CIFAR-10."""
MARGIN = 0.5


def rates(**by_rate: tuple[float | None, ...]) -> Rates:
    """Accuracies by rate, such as lr1=(0.5, 0.6, 0.7) for the rate 1."""
    return {
        float(key.removeprefix("lr")): dict(zip(SEEDS, values, strict=False))
        for key, values in by_rate.items()
    }


def test_the_two_best_are_those_on_the_first_seed_and_of_equal_ones_the_smaller() -> None:
    assert two_best(rates(lr1=(0.5,), lr2=(0.7,), lr4=(0.7, 0.1, 0.1), lr8=(0.6,))) == [2, 4]


def test_the_smaller_rate_is_taken_where_two_differ_by_no_more_than_the_error() -> None:
    # Means 0.60 and 0.61; differences of 0.03, 0.00 and 0.00 have a standard error of 0.01.
    close = rates(lr1=(0.59, 0.60, 0.61), lr2=(0.62, 0.60, 0.61))
    assert chosen(close) == (1, 2)
    # By the same amount at every seed, so without an error.
    apart = rates(lr1=(0.59, 0.60, 0.61), lr2=(0.60, 0.61, 0.62))
    assert chosen(apart) == (2, 2)


def test_a_rate_that_diverged_on_a_further_seed_is_not_chosen() -> None:
    assert chosen(rates(lr1=(0.60, 0.60, 0.60), lr2=(0.7, None, None)))[0] == 1


def test_of_two_rates_the_one_that_diverged_on_fewer_seeds_is_chosen() -> None:
    assert chosen(rates(lr1=(0.60, None, 0.62), lr2=(0.58, 0.57, 0.59))) == (2, 2)
    assert chosen(rates(lr1=(None, None, None), lr2=(0.55, None, None))) == (2, 2)
    assert chosen(rates(lr1=(0.9, 0.9, None), lr2=(0.55, 0.55, 0.55))) == (2, 2)
    # Where both did equally often, the error decides as ever.
    assert chosen(rates(lr1=(None, 0.57, 0.59), lr2=(0.60, None, 0.62))) == (1, 2)


def test_a_run_without_a_right_image_has_not_diverged() -> None:
    assert two_best(rates(lr1=(None,), lr2=(None,), lr4=(0.0,))) == [4, 1]
    assert chosen(rates(lr1=(0.1, None, 0.1), lr2=(0.0, 0.0, 0.0))) == (2, 2)


def test_the_grid_is_widened_at_the_ends_where_a_best_rate_lies() -> None:
    assert widened(FACTORS, [1.0]) == [0.25, 0.5, 1, 2, 4]
    assert widened(FACTORS, [0.25, 1.0]) == [0.125, 0.25, 0.5, 1, 2, 4]
    assert widened(FACTORS, [0.25, 4.0]) == [0.125, 0.25, 0.5, 1, 2, 4, 8]


# Simulations. Accuracy falls with the square of the logarithm of the rate over the best one, by
# `cost` points at a factor of 2.


def accuracy(rate: float, best: float, cost: float) -> float:
    return -cost * float(np.log2(rate) - best) ** 2


def tuned(best: float, cost: float, rng: np.random.Generator) -> float:
    """The rate that is chosen for a norm."""
    factors = [2.0**k for k in range(-4, 5)]  # as wide as it ever gets
    noise = SEED_SD * rng.standard_normal((len(factors), len(SEEDS)))
    found = {
        rate: {
            seed: accuracy(rate, best, cost) + each for seed, each in zip(SEEDS, row, strict=True)
        }
        for rate, row in zip(factors, noise.tolist(), strict=True)
    }
    return chosen(found)[0]


def graded(difference: float, rng: np.random.Generator, seeds: int = 6) -> Grade:
    """The grade of two norms whose accuracies differ by so much."""
    noise = SEED_SD * 2**0.5 * rng.standard_normal(seeds)
    pairs = {0: dict(enumerate((noise + difference).tolist()))}
    return grade(pairs[0], fixed_design(pairs, MARGIN)[0], MARGIN).grade


def test_a_norm_under_another_name_has_the_same_rate_as_it_shares_the_seeds() -> None:
    for seed in range(100):
        one, other = (tuned(0.3, 0.3, np.random.default_rng(seed)) for _ in range(2))
        assert one == other


def test_a_norm_tuned_on_other_noise_is_called_different_in_five_percent_at_most() -> None:
    rng = np.random.default_rng(0)
    grades = []
    for cost in (0.05, 0.1, 0.3, 1.0, 3.0):
        for _ in range(200):
            best = rng.uniform(-0.5, 0.5)
            one, other = (accuracy(tuned(best, cost, rng), best, cost) for _ in range(2))
            grades.append(graded(one - other, rng))
    assert grades.count(Grade.DECIDED) / len(grades) <= 0.05


@pytest.mark.parametrize("cost", [1.0, 3.0])
def test_a_norm_whose_best_rate_alone_differs_is_the_same_tuned_and_not_under_one_rate(
    cost: float,
) -> None:
    rng = np.random.default_rng(1)
    by_tuned, by_one = [], []
    for _ in range(100):
        best = rng.uniform(-0.5, 0.5)
        one, other = (accuracy(tuned(b, cost, rng), b, cost) for b in (best, best + 2))
        by_tuned.append(graded(one - other, rng))
        by_one.append(graded(accuracy(1, best, cost) - accuracy(1, best + 2, cost), rng))
    assert by_tuned.count(Grade.DECIDED) <= 5
    assert by_tuned.count(Grade.SAME) >= 80
    assert by_one.count(Grade.DECIDED) >= 95
