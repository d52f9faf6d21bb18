"""Paper and ink for drawings: the house style, panels, legends, files.

All drawings are 4.4 inches wide, so that they are read on a telephone and stand side by side on a
desk. matplotlib is imported here and in figures.py only.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normexp.analysis.render.colours import INK

WIDTH = 4.4
LINE = 0.16
"""Height of a line of text in inches."""
COMPACT: Any = {"borderpad": 0.1, "handlelength": 1.6, "columnspacing": 1.2}
LEGEND = 58
"""Letters in a row of a legend; the sample of a line takes six."""
XLABEL = 0.18
"""Height of the name of the horizontal axis in inches."""
LETTER = 0.075
"""Width of a letter in inches, about."""
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
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}


@contextmanager
def styled() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def svg(figure: Figure) -> str:
    """Return the drawing as an SVG file, the same for the same content."""
    return _saved(figure, "svg", transparent=True, metadata={"Date": None}).decode()


def pdf(figure: Figure) -> bytes:
    """Return the drawing as a PDF file, the same for the same content."""
    return _saved(figure, "pdf", transparent=True, metadata={"CreationDate": None})


def png(figure: Figure) -> bytes:
    """Return the drawing as a PNG file, at 120 dots an inch on white."""
    return _saved(figure, "png", dpi=120, facecolor="white")


def _saved(figure: Figure, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    with styled():
        figure.savefig(file, format=kind, **how)
    return file.getvalue()


@dataclass(frozen=True)
class Room:
    """What the text around the panels takes, in inches."""

    left: float = 0.62
    right: float = 0.12
    below: float = 0.46
    """Below each panel: the names of places, and of the axis."""
    legend: float = 0.0


def panels_of(height: float, panels: int = 1, room: Room = Room()) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, two in a row, each `height` inches high.

    Places are computed, not found by drawing: that took half of a report's time.
    """
    columns = min(panels, 2)
    rows = ceil(panels / columns)
    title = 0.26 if panels > 1 else 0.1
    between = room.below - XLABEL  # only the lowest has a name of the axis below it
    total = rows * (height + title + between) + XLABEL + room.legend
    figure = Figure(figsize=(WIDTH, total))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    figure.subplots_adjust(
        left=room.left / WIDTH,
        right=1 - room.right / WIDTH,
        top=1 - title / total,
        bottom=(room.below + room.legend) / total,
        wspace=0.1,
        hspace=(title + between) / height,
    )
    axes = list(grid.flat)
    for unused in axes[panels:]:
        unused.set_visible(False)
    for ax in axes:
        ax.locator_params(axis="y", nbins=5)
        # Without places of their own matplotlib measures every tick to find them.
        ax.xaxis.set_label_coords(0.5, -0.3 / height)
        ax.yaxis.set_label_coords(0, 0.5)
    return figure, axes[:panels]


def label(figure: Figure, axes: Sequence[Axes], xlabel: str, ylabel: str) -> None:
    """Name the axes, once for all panels."""
    boxes = [ax.get_position() for ax in axes]
    middle = (boxes[0].y1 + boxes[-1].y0) / 2
    figure.supylabel(ylabel, size="medium", x=0.01, y=middle)
    if len(axes) == 1:
        axes[0].set_xlabel(xlabel)
    else:
        below = boxes[-1].y0 - 0.44 / figure.get_figheight()
        figure.supxlabel(xlabel, size="medium", x=(boxes[0].x0 + boxes[1].x1) / 2, y=below)


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """Name the series below the panels."""
    found: dict[str, Artist] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if len(found) > 1:
        columns = _columns_of_legend([*found])
        figure.legend(found.values(), found, loc="lower center", ncols=columns, **COMPACT)


def height_of_legend(names: Sequence[str]) -> float:
    """Return the height in inches that a legend of these names takes."""
    return 0.2 * ceil(len(names) / _columns_of_legend(names)) + 0.06 if len(names) > 1 else 0.0


def _columns_of_legend(names: Sequence[str]) -> int:
    if sum(len(name) + 6 for name in names) <= LEGEND:
        return max(1, len(names))
    return max(1, LEGEND // (max(map(len, names)) + 6))


def name_ends(figure: Figure, ax: Axes, x: float, ends: Mapping[str, tuple[float, str]]) -> None:
    """Write names at the ends of lines, of their heights and colours, none on top of another."""
    low, high = ax.get_ylim()
    inches = figure.get_figheight() * ax.get_position().height
    least = LINE * (high - low) / inches
    places: list[float] = []
    order = sorted(ends, key=lambda name: ends[name][0])
    for name in order:
        places.append(max([ends[name][0], *(place + least for place in places[-1:])]))
    ceiling = high
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - least
    for name, y in zip(order, places, strict=True):
        ax.text(x, y, name, color=ends[name][1], va="center", clip_on=False)


def is_aslant(names: Sequence[str], width: float) -> bool:
    """Whether names of places stand aslant, as they are long for a `width` in inches."""
    return sum(map(len, names)) + len(names) > 10 * width


def name_places(ax: Axes, places: Sequence[float], names: Sequence[str], aslant: bool) -> None:
    """Name places below the axis."""
    ax.set_xticks(places, names)
    if aslant:
        ax.tick_params(axis="x", labelrotation=30)
        for text in ax.get_xticklabels():
            text.set_horizontalalignment("right")
