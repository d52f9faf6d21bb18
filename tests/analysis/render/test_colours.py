"""The looks of norms."""

from __future__ import annotations

from pathlib import Path

import pytest

from normexp import build
from normexp.analysis.render.colours import COLOURS, look

SHIPPED = sorted(file.stem for file in Path(build.conf_dir(), "norm").glob("*.yaml"))


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("paper", ["#ffffff", "#15181c"])
@pytest.mark.parametrize("colour", COLOURS)
def test_colours_stand_out_on_light_and_dark_pages(colour: str, paper: str) -> None:
    low, high = sorted((luminance(colour), luminance(paper)))
    assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 1.4.11, graphical objects


def test_each_shipped_norm_has_a_look_of_its_own() -> None:
    assert len({look(norm) for norm in SHIPPED}) == len(SHIPPED) >= 40


def test_a_norm_has_one_look_whatever_else_is_drawn_and_so_have_its_cells() -> None:
    assert look("batch") == look("batch, batch size 4") == look("batch b4")
    assert look("batch") != look("instance")
    assert look("mine") == look("mine")
