"""The warning beside a cell with collapsed runs, and what runs without one leave possible."""

from __future__ import annotations

import pytest
from scipy import stats

from normexp.analysis.collapse import collapse_not_excluded, collapse_warning


def test_the_warning_counts_the_collapsed_runs() -> None:
    warning = collapse_warning(1, 8)
    assert warning is not None
    assert "1 of 8" in warning
    assert collapse_warning(0, 8) is None


@pytest.mark.parametrize("seeds", [1, 3, 6, 20])
def test_what_is_not_excluded_is_scipys_exact_bound(seeds: int) -> None:
    exact = stats.binomtest(0, seeds, alternative="less").proportion_ci(0.95)
    assert collapse_not_excluded(seeds) == pytest.approx(exact.high)
