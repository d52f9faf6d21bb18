"""Two one-sided t tests against scipy's, over a family by Holm's method."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normexp.analysis.equivalence import equivalence

ROWS = {
    "near": {0: 0.1, 1: -0.1, 2: 0.05, 3: 0.0, 4: -0.02},
    "wide": {0: 0.6, 1: -0.5, 2: 0.2, 3: -0.3, 4: 0.1},
    "far": {0: 2.0, 1: 2.1, 2: 1.9, 3: 2.2, 4: 1.8},
}


def larger_p(row: dict[int, float], margin: float) -> float:
    x = list(row.values())
    above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, alternative="less").pvalue
    return float(max(above, below))


def test_the_p_value_of_one_comparison_is_the_larger_of_scipys_two() -> None:
    for row in ROWS.values():
        assert equivalence({0: row}, 0.5)[0].p == pytest.approx(larger_p(row, 0.5))


def test_a_family_is_adjusted_by_holm() -> None:
    found = equivalence(ROWS, 0.5)
    near, wide, far = (larger_p(row, 0.5) for row in ROWS.values())
    assert near < wide < far
    assert found["near"].p == pytest.approx(3 * near)
    assert found["wide"].p == pytest.approx(2 * wide)
    assert found["far"].p == pytest.approx(far)


def test_the_interval_of_one_comparison_has_90_percent() -> None:
    x = list(ROWS["near"].values())
    interval = equivalence({0: ROWS["near"]}, 0.5)[0].interval
    assert interval is not None
    expected = stats.t.interval(0.9, 4, np.mean(x), stats.sem(x))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_the_interval_lies_within_the_margin_exactly_where_the_two_are_the_same() -> None:
    rng = np.random.default_rng(0)
    same = 0
    for _ in range(500):
        spreads = rng.choice([0.1, 0.3, 1.0], 4)
        rows = {j: dict(enumerate(rng.normal(0, spread, 6))) for j, spread in enumerate(spreads)}
        for each in equivalence(rows, 0.5).values():
            assert each.interval is not None
            assert (each.p <= 0.05) == each.interval.within(0.5)
            same += each.p <= 0.05
    assert 200 < same < 1800


def test_a_few_equal_differences_say_no_more_than_their_signs() -> None:
    few, more = (equivalence({0: dict.fromkeys(range(n), 0.4)}, 0.5)[0] for n in (4, 5))
    assert few.p == 1 / 16
    assert few.interval is None
    assert more.p == 1 / 32
    assert more.interval is not None


def test_two_seeds_are_never_the_same_and_do_not_count_in_the_family() -> None:
    found = equivalence({"near": ROWS["near"], "two": {0: 0.0, 1: 0.0}}, 0.5)
    assert found["near"] == equivalence({"near": ROWS["near"]}, 0.5)["near"]
    assert found["two"].p == 1
    assert found["two"].interval is None


def test_runs_that_agree_to_the_bit_are_the_same() -> None:
    zeros, beyond = dict.fromkeys(range(3), 0.0), dict.fromkeys(range(3), 0.5)
    assert equivalence({0: zeros}, 0.5)[0].p == 0
    assert equivalence({0: beyond}, 0.5)[0].p == 1


def test_a_margin_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="margin=0"):
        equivalence(ROWS, 0)
