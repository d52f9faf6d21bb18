"""Paper and ink for drawings: the house style, panels, legends, files.

All drawings are 4.4 inches wide, so that they are read on a telephone and stand side by side on a
desk. matplotlib is imported here and in figures.py only.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from normexp.analysis.render.document import INK

WIDTH = 4.4
# Okabe and Ito's colours, told apart by the colour-blind, less the yellow that white swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
MARKERS = "osD^vPX<>h*p"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "normexp",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.grid": True,
    "grid.color": "#8884",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "hatch.color": "#8888",
    "hatch.linewidth": 0.6,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}


def look(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


@contextmanager
def styled() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def svg(figure: Figure) -> str:
    """Return the drawing as an SVG file, the same for the same content."""
    file = io.StringIO()
    with styled():
        _lay_out(figure)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def png(figure: Figure) -> bytes:
    """Return the drawing as a PNG file, at 120 dots an inch on white."""
    file = io.BytesIO()
    with styled():
        _lay_out(figure)
        figure.savefig(file, format="png", dpi=120, facecolor="white")
    return file.getvalue()


def _lay_out(figure: Figure) -> None:
    """Find the places of everything, once: it takes as long as the drawing."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")


def panels_of(height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, two in a row."""
    columns = min(panels, 2)
    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    grid = figure.subplots(ceil(panels / columns), columns, squeeze=False, sharey=True)
    axes = list(grid.flat)
    for unused in axes[panels:]:
        unused.set_visible(False)
    for ax in axes:
        ax.locator_params(axis="y", nbins=5)
    return figure, axes[:panels]


def label(figure: Figure, axes: Sequence[Axes], xlabel: str, ylabel: str) -> None:
    """Name the axes, and below them the series."""
    for ax in axes[-2:]:  # the lowest of each column
        ax.set_xlabel(xlabel)
    figure.supylabel(ylabel, size="medium")
    _legend(figure, axes)


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    found: dict[str, Artist] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if len(found) > 1:
        columns = _columns_of_legend([*found])
        figure.legend(found.values(), found, loc="outside lower center", ncols=columns)


def height_of(panels: int, names: Sequence[str]) -> float:
    """Return the height in inches that so many panels and a legend of these names take."""
    rows = ceil(len(names) / _columns_of_legend(names))
    return (2.7 if panels == 1 else 1.75 * ceil(panels / 2) + 0.4) + 0.2 * rows


def _columns_of_legend(names: Sequence[str]) -> int:
    longest = max(map(len, names), default=1)
    return max(1, min(len(names), 50 // (longest + 6)))


def name_places(ax: Axes, places: list[float], names: Sequence[str], width: float) -> None:
    """Name places below the axis, aslant where the names are long for a `width` in inches."""
    ax.set_xticks(places, names)
    if sum(map(len, names)) + len(names) > 10 * width:
        ax.tick_params(axis="x", labelrotation=30)
        for text in ax.get_xticklabels():
            text.set_horizontalalignment("right")
