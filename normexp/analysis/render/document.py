"""A report's content, apart from its form: sections with words, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from normexp.analysis.intervals import Interval
from normexp.analysis.spread import Spread
from normexp.runs.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

NONE = "–"


class Table(NamedTuple):
    """Cells as they are read; the first column names the row."""

    name: str  # a file name, for links and the CSV and LaTeX files
    caption: str
    head: list[str]
    rows: list[list[str]]
    bold: frozenset[tuple[int, int]] = frozenset()
    """Rows and columns of the cells that stand out."""


@dataclass(frozen=True)
class Figure:
    """A drawing, and what it shows for those who do not see it."""

    name: str
    caption: str
    alternative: str
    drawing: Drawing

    @cached_property
    def svg(self) -> str:
        from normexp.analysis.render.canvas import (
            svg,  # matplotlib, which a document may do without
        )

        return svg(self.drawing)


@dataclass
class Section:
    """A heading, and what stands below it, in this order."""

    title: str
    words: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    code: str = ""
    """Lines to be typed."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Words, and the address that they lead to."""
    folded: bool = False
    """Whether only the title shows until it is opened."""
    beside: bool = False
    """Whether tables stand to the left of figures, where there is room."""


@dataclass(frozen=True)
class Document:
    """The whole of a report."""

    title: str
    question: str | None
    sections: list[Section]
    origin: str
    """Where, when and with what it was made."""
    answer: Sequence[str] = ()
    """What it comes to, in sentences."""
    next_words: str = ""
    """What the lines to be typed next do."""
    next_code: str = ""


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with its digits, or a dash for none."""
    if value is None:
        return NONE
    return f"{value:.{digits}f}".replace("-", "−")


def with_interval(spread: Spread | None, digits: int = 1) -> str:
    """Return a mean with its interval, or the points of one or two seeds."""
    if spread is None:
        return NONE
    if spread.interval is None:
        return f"{points(spread, digits)} ({plural(spread.n, 'seed')})"
    return f"{number(spread.mean, digits)} {interval(spread.interval, digits)}"


def points(spread: Spread | None, digits: int = 1) -> str:
    """Return the values of one or two seeds, the mean of more: times have no interval."""
    if spread is None:
        return NONE
    if spread.n > 2:
        return number(spread.mean, digits)
    return " and ".join(number(value, digits) for value in spread.values)


def interval(interval: Interval | None, digits: int = 1) -> str:
    """Return an interval in brackets, empty where there is none."""
    return interval.text(f".{digits}f").replace("-", "−") if interval else ""


def p_value(p: float) -> str:
    """Return a probability as papers print it."""
    return "<0.001" if p < 0.001 else f"{p:.3f}".rstrip("0").rstrip(".") if p < 1 else "1"
