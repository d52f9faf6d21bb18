"""The warning beside a cell with collapsed runs."""

from __future__ import annotations

from normexp.analysis.collapse import collapse_warning


def test_the_warning_counts_the_collapsed_runs() -> None:
    warning = collapse_warning(1, 8)
    assert warning is not None
    assert "1 of 8" in warning
    assert collapse_warning(0, 8) is None
