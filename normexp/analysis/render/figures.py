"""The kinds of drawings: points with intervals, curves with bands, dots, and a coloured table."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from normexp.analysis.intervals import Values
from normexp.analysis.render.canvas import (
    WIDTH,
    height_of,
    label,
    look,
    name_places,
    panels_of,
    styled,
)
from normexp.analysis.render.document import INK
from normexp.analysis.spread import Spread

Spreads = Sequence[Spread | None]  # at the places 0, 1, 2, …; None where there is none


@dataclass(frozen=True)
class Line:
    """The means of one series."""

    name: str
    index: int  # gives it its colour and marker, the same in every drawing
    spreads: Spreads
    dashed: bool = False


@dataclass(frozen=True)
class Band:
    """A curve for each seed, on a common axis where `x` is the mean over seeds."""

    name: str
    index: int
    x: Sequence[float]
    seeds: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Heat:
    """A table of numbers for colours."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    notes: Sequence[Sequence[str]]  # what stands in the cells
    best: Sequence[int | None]  # the row that has a frame, in each column


def lines(
    panels: Sequence[tuple[str, Sequence[Line]]],
    xlabel: str,
    ylabel: str,
    ticks: Sequence[str],
    percent: bool = True,
) -> Figure:
    """Draw means with intervals over named places 0, 1, 2, …; hollow points are single seeds."""
    names = list(dict.fromkeys(line.name for _, own in panels for line in own))
    with styled():
        figure, axes = panels_of(height_of(len(panels), names), len(panels))
        for ax, (title, own) in zip(axes, panels, strict=True):
            for i, line in enumerate(own):
                _points(ax, line, 0.4 * (i - (len(own) - 1) / 2) / max(6, len(own)))
            ax.set_title(title)
            name_places(ax, list(range(len(ticks))), ticks, WIDTH / min(2, len(panels)))
            ax.set_xlim(-0.4, len(ticks) - 0.6)
        if percent:
            axes[0].set_ylim(
                *_limits([each for _, own in panels for line in own for each in line.spreads])
            )
        label(figure, axes, xlabel, ylabel)
    return figure


def _points(ax: Axes, line: Line, shift: float) -> None:
    drawn = [(x + shift, spread) for x, spread in enumerate(line.spreads) if spread is not None]
    if not drawn:
        return
    colour, marker = look(line.index)
    kind = f"{marker}--" if line.dashed else f"{marker}-"
    ax.plot(*zip(*((x, s.mean) for x, s in drawn), strict=True), kind, label=line.name, c=colour)
    single = [(x, value) for x, s in drawn if s.interval is None for value in s.values]
    if single:
        ax.plot(*zip(*single, strict=True), marker, c=colour, markerfacecolor="white", ls="")
    sure = [(x, s.interval.low, s.interval.high) for x, s in drawn if s.interval]
    if sure:
        x, low, high = zip(*sure, strict=True)
        ax.vlines(x, low, high, colors=colour, linewidth=1)


def _limits(spreads: Spreads) -> tuple[float, float]:
    """Frame the means; intervals of few seeds are wide, and may run out of the frame."""
    means = [s.mean for s in spreads if s is not None]
    if not means:
        return 0, 100
    room = max(2.0, 0.5 * (max(means) - min(means)))
    intervals = [s.interval for s in spreads if s is not None and s.interval]
    lows, highs = [i.low for i in intervals] or means, [i.high for i in intervals] or means
    low, high = max(min(lows), min(means) - room), min(max(highs), max(means) + room)
    return max(0.0, min(low, min(means)) - 0.5), min(100.0, max(high, max(means)) + 0.5)


def curves(panels: Sequence[tuple[str, Sequence[Band]]], xlabel: str, ylabel: str) -> Figure:
    """Draw the mean over seeds, and a band from the lowest to the highest seed."""
    names = list(dict.fromkeys(band.name for _, own in panels for band in own))
    with styled():
        figure, axes = panels_of(height_of(len(panels), names), len(panels))
        for ax, (title, own) in zip(axes, panels, strict=True):
            for band in own:
                seeds, (colour, marker) = np.array(band.seeds), look(band.index)
                few = len(band.x) <= 12
                ax.plot(*(band.x, seeds.mean(0), f"{marker * few}-"), label=band.name, c=colour)
                if len(seeds) > 1:
                    low, high = seeds.min(0), seeds.max(0)
                    ax.fill_between(band.x, low, high, color=colour, alpha=0.2, lw=0)
            ax.set_title(title)
            ax.locator_params(axis="x", nbins=4)
            ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
            ax.set_xlim(left=0)
        label(figure, axes, xlabel, ylabel)
    return figure


def dots(places: Sequence[str], spreads: Spreads, xlabel: str) -> Figure:
    """Draw a mean with its interval on a line of its own for each series."""
    with styled():
        figure, (ax,) = panels_of(0.9 + 0.28 * len(places))
        for i, spread in enumerate(spreads):
            _across(ax, i, spread)
        ax.set_yticks(range(len(places)), places)
        ax.set_ylim(len(places) - 0.5, -0.5)
        ax.set_xlim(*_limits(spreads))
        ax.set_xlabel(xlabel)
    return figure


def _across(ax: Axes, i: int, spread: Spread | None) -> None:
    if spread is None:
        return
    colour, marker = look(i)
    if spread.interval is None:
        ax.plot(spread.values, [i] * spread.n, marker, c=colour, markerfacecolor="white", ls="")
        return
    bars = [[spread.mean - spread.interval.low], [spread.interval.high - spread.mean]]
    ax.errorbar([spread.mean], [i], xerr=bars, capsize=3, fmt=marker, c=colour)


def heat(table: Heat, xlabel: str) -> Figure:
    columns = len(table.columns)
    grid = np.array([[nan if v is None else v for v in row] for row in table.values])
    with styled():
        figure, (ax,) = panels_of(0.9 + 0.36 * len(table.rows))
        mesh = ax.pcolormesh(grid, cmap="YlGnBu", edgecolors="#8886", linewidth=0.5)
        for i, row in enumerate(table.notes):
            for j, note in enumerate(row):
                colour = None if np.isnan(grid[i, j]) else mesh.to_rgba(grid[i, j])
                _note(ax, (i, j), note, colour, 0.8 * WIDTH / columns)
        for j, winner in enumerate(table.best):
            if winner is not None:
                ax.add_patch(Rectangle((j, winner), 1, 1, fill=False, ec="#d55e00", lw=2.2))
        name_places(ax, [j + 0.5 for j in range(columns)], table.columns, WIDTH)
        ax.set_yticks(np.arange(len(table.rows)) + 0.5, table.rows)
        ax.tick_params(length=0)
        ax.invert_yaxis()
        ax.grid(visible=False)
        ax.set_xlabel(xlabel)
        ax.spines[:].set_visible(False)
    return figure


def _note(
    ax: Axes, cell: tuple[int, int], note: str, background: Values | None, width: float
) -> None:
    """Write a note into a cell that is `width` inches wide."""
    i, j = cell
    longest = max(map(len, note.splitlines()), default=1)
    size = min(8.0, 72 * width / (0.65 * longest))
    colour = INK
    if background is None:
        ax.add_patch(Rectangle((j, i), 1, 1, fill=False, hatch="///", lw=0))
    else:
        red, green, blue, _ = background
        colour = "#000000" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "#ffffff"
    ax.text(j + 0.5, i + 0.5, note, ha="center", va="center", color=colour, fontsize=size)
