"""Intervals of means, cut to what can be, and written so that they say what they mean."""

from __future__ import annotations

import pytest
from scipy import stats

from normexp.analysis.intervals import Interval, t_interval

VALUES = [71.2, 70.4, 72.9, 71.8, 70.9, 73.1]


def test_the_t_interval_is_scipys() -> None:
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)
    found = t_interval(VALUES)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert t_interval(VALUES[:2]) is None


def test_percentages_are_cut_to_0_and_100() -> None:
    assert Interval(97.0, 104.0).clipped(0, 100) == Interval(97.0, 100)
    assert Interval(-3.0, 8.0).clipped(0, 100) == Interval(0, 8.0)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.3, 2.14), "[0.3, 2.1]"),
        (Interval(0.0, 2.1, without_zero=True), "(0.0, 2.1]"),
        (Interval(0.01, 2.1), "(0.0, 2.1]"),
        (Interval(-2.1, -0.01), "[-2.1, 0.0)"),
        (Interval(-0.01, 2.1), "[0.0, 2.1]"),
        (Interval(0.0, 0.0), "[0.0, 0.0]"),
    ],
)
def test_an_end_that_rounds_to_0_but_excludes_it_is_open(interval: Interval, words: str) -> None:
    assert interval.text() == words
