"""Drawings hold what they draw."""

from __future__ import annotations

import pytest

from normexp.analysis.render.figures import Axis, Line, dots, lines
from normexp.analysis.spread import PERCENT, spread

FEW = (40.0, 55.0, 68.0)
"""Three seeds: the 95 % interval is 70 points wide."""


@pytest.mark.parametrize("values", [FEW, (90.0, 95.0, 99.0), (30.0, 61.0), (50.0,)])
def test_the_axis_holds_every_interval_and_every_seed(values: tuple[float, ...]) -> None:
    wide, narrow = spread(values, within=PERCENT), spread((50.0, 50.1, 50.2), within=PERCENT)
    upright = lines([("", [Line("batch", [wide, narrow])])], Axis.even("x", ["a", "b"]), "y")
    across = dots(["batch", "both"], [wide, narrow], "x")
    ends = [wide.interval.low, wide.interval.high] if wide.interval else values
    for low, high in (upright.axes[0].get_ylim(), across.axes[0].get_xlim()):
        assert 0 <= low <= min(ends)
        assert max(ends) <= high <= 100


@pytest.mark.parametrize(("joined", "style"), [(True, "-"), (False, "None")])
def test_lines_join_no_places_without_an_order(joined: bool, style: str) -> None:
    means = [spread((50.0, 50.1, 50.2)), spread((60.0, 60.1, 60.2))]
    axis = Axis.even("after", ["relu-pool", "flatten"], joined)
    (ax,) = lines([("", [Line("batch", means)])], axis, "y").axes
    assert ax.get_lines()[0].get_linestyle() == style
