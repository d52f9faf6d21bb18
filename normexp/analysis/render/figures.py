"""The kinds of drawings: points with intervals, curves with bands, and dots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normexp.analysis.render.canvas import (
    LETTER,
    WIDTH,
    Room,
    height_of_legend,
    is_aslant,
    label,
    legend,
    name_ends,
    name_places,
    panels_of,
    styled,
)
from normexp.analysis.render.colours import look
from normexp.analysis.spread import Spread

Spreads = Sequence[Spread | None]
"""Means with intervals at places of an axis; None where there is none."""


@dataclass(frozen=True)
class Line:
    """The means of one series."""

    name: str
    """Gives it its colour and marker, the same in every drawing."""
    spreads: Spreads
    dashed: bool = False


@dataclass(frozen=True)
class Band:
    """A curve for each seed, on a common axis where `x` is the mean over seeds."""

    name: str
    x: Sequence[float]
    seeds: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of lines: named places."""

    name: str
    ticks: Sequence[str]
    places: Sequence[float]
    joined: bool = True
    """Whether lines join the places; not where these have no order, such as heads."""

    @classmethod
    def even(cls, name: str, ticks: Sequence[str], joined: bool = True) -> Self:
        """Return an axis whose places are at equal distances."""
        return cls(name, ticks, range(len(ticks)), joined)


MOST_AT_ENDS, LONGEST_AT_ENDS = 9, 18
"""More lines, or longer names, have a legend."""


def lines(
    panels: Sequence[tuple[str, Sequence[Line]]], axis: Axis, ylabel: str, percent: bool = True
) -> Figure:
    """Draw means with intervals over named places; hollow points are single seeds."""
    names = list(dict.fromkeys(line.name for _, own in panels for line in own))
    longest = max(map(len, names), default=0)
    at_ends = len(panels) == 1 and 1 < len(names) <= MOST_AT_ENDS and longest <= LONGEST_AT_ENDS
    aslant = is_aslant(axis.ticks, WIDTH / min(2, len(panels)))
    room = Room(
        right=LETTER * longest + 0.1 if at_ends else 0.12,
        below=0.46 + (0.04 * max(map(len, axis.ticks)) if aslant else 0),
        legend=0 if at_ends else height_of_legend(names),
    )
    spreads = [each for _, own in panels for line in own for each in line.spreads]
    with styled():
        figure, axes = panels_of(2.1 if len(panels) == 1 else 1.3, len(panels), room)
        for ax, (title, own) in zip(axes, panels, strict=True):
            for i, line in enumerate(own):
                _points(ax, line, axis, 0.4 * (i - (len(own) - 1) / 2) / max(6, len(own)))
            ax.set_title(title, y=1.0)
            name_places(ax, axis.places, axis.ticks, aslant)
            ax.set_xlim(axis.places[0] - 0.4, axis.places[-1] + 0.4)
        axes[0].set_ylim(*_limits(spreads, (0, 100) if percent else (-np.inf, np.inf)))
        if at_ends:
            ends = {line.name: [s.mean for s in line.spreads if s] for line in panels[0][1]}
            found = {name: (means[-1], look(name)[0]) for name, means in ends.items() if means}
            name_ends(figure, axes[0], axis.places[-1] + 0.42, found)
        else:
            legend(figure, axes)
        label(figure, axes, axis.name, ylabel)
    return figure


def _points(ax: Axes, line: Line, axis: Axis, shift: float) -> None:
    found = zip(axis.places, line.spreads, strict=True)
    drawn = [(x + shift, spread) for x, spread in found if spread is not None]
    if not drawn:
        return
    colour, marker = look(line.name)
    style = "" if not axis.joined else "--" if line.dashed else "-"
    x, means = zip(*((x, spread.mean) for x, spread in drawn), strict=True)
    ax.plot(x, means, marker, ls=style, label=line.name, c=colour)
    single = [(x, value) for x, s in drawn if s.interval is None for value in s.values]
    if single:
        ax.plot(*zip(*single, strict=True), marker, c=colour, markerfacecolor="white", ls="")
    sure = [(x, s.interval.low, s.interval.high) for x, s in drawn if s.interval]
    if sure:
        x, low, high = zip(*sure, strict=True)
        ax.vlines(x, low, high, colors=colour, linewidth=1)


def _limits(spreads: Spreads, within: tuple[float, float]) -> tuple[float, float]:
    """Return the ends of an axis that holds all means, intervals and single seeds."""
    drawn = [s for s in spreads if s is not None]
    if not drawn:
        return 0, 100
    ends = [end for s in drawn for end in _ends(s)]
    low, high = min(ends), max(ends)
    edge = 0.06 * (high - low) or 0.5
    return max(within[0], low - edge), min(within[1], high + edge)


def _ends(spread: Spread) -> Sequence[float]:
    if spread.interval is None:
        return spread.values
    return spread.interval.low, spread.interval.high


def curves(panels: Sequence[tuple[str, Sequence[Band]]], xlabel: str, ylabel: str) -> Figure:
    """Draw the mean over seeds, and a band from the lowest to the highest seed."""
    names = list(dict.fromkeys(band.name for _, own in panels for band in own))
    with styled():
        room = Room(legend=height_of_legend(names))
        figure, axes = panels_of(2.1 if len(panels) == 1 else 1.3, len(panels), room)
        for ax, (title, own) in zip(axes, panels, strict=True):
            for band in own:
                seeds, (colour, marker) = np.array(band.seeds), look(band.name)
                few = len(band.x) <= 12
                ax.plot(*(band.x, seeds.mean(0), f"{marker * few}-"), label=band.name, c=colour)
                if len(seeds) > 1:
                    low, high = seeds.min(0), seeds.max(0)
                    ax.fill_between(band.x, low, high, color=colour, alpha=0.2, lw=0)
            ax.set_title(title, y=1.0)
            ax.locator_params(axis="x", nbins=4)
            ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
            ax.set_xlim(left=0)
        legend(figure, axes)
        label(figure, axes, xlabel, ylabel)
    return figure


def dots(places: Sequence[str], spreads: Spreads, xlabel: str) -> Figure:
    """Draw a mean with its interval on a line of its own for each series."""
    with styled():
        room = Room(left=LETTER * max(map(len, places)) + 0.2)
        figure, (ax,) = panels_of(0.3 + 0.28 * len(places), room=room)
        for i, (name, spread) in enumerate(zip(places, spreads, strict=True)):
            _across(ax, i, name, spread)
        ax.set_yticks(range(len(places)), places)
        ax.set_ylim(len(places) - 0.5, -0.5)
        ax.set_xlim(*_limits(spreads, (0, 100)))
        ax.set_xlabel(xlabel)
    return figure


def _across(ax: Axes, i: int, name: str, spread: Spread | None) -> None:
    if spread is None:
        return
    colour, marker = look(name)
    if spread.interval is None:
        ax.plot(spread.values, [i] * spread.n, marker, c=colour, markerfacecolor="white", ls="")
        return
    bars = [[spread.mean - spread.interval.low], [spread.interval.high - spread.mean]]
    ax.errorbar([spread.mean], [i], xerr=bars, capsize=3, fmt=marker, c=colour)
