"""What layers have learned, such as gates, by depth; and what the lens has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from normexp.analysis.render import figures
from normexp.analysis.render.document import Figure, Section, Table, with_interval
from normexp.analysis.report.blocks import Block, told
from normexp.analysis.rows import Row
from normexp.analysis.statistics import Spread, spread

LensRow = Mapping[str, Any]


def readings_section(block: Block, level: float, name: str) -> Section | None:
    """Return the readings of layers by depth; None where there are none."""
    keys = dict.fromkeys(key for row in block.rows for key in _readings(row))
    kinds: dict[str, list[str]] = {}
    for key in keys:
        kind, _, place = key.partition("/")
        kinds.setdefault(kind, []).append(place)
    if not kinds:
        return None
    section = Section("What layers have learned")
    if "gate" in kinds:
        section.words.append("A gate of 1 is batch norm, of 0 instance norm; it starts at 1.")
    for kind, places in kinds.items():
        lines = list(_by_depth(block, kind, places, level))
        what = kind.replace("_", " ")
        caption = f"The {what} by depth: mean over channels and seeds, {level:.0%} interval."
        ticks = [str(i + 1) for i in range(len(places))]
        drawing = figures.lines(
            [("", lines)], "norm layer, from the input on", what, ticks, percent=False
        )
        figure = Figure(f"{name}{kind}", caption, f"{caption} The table has the numbers.", drawing)
        rows = [[line.name, *(with_interval(p.spread, 2) for p in line.points)] for line in lines]
        section.figures.append(figure)
        section.tables.append(Table(f"{name}{kind}", caption, [what, *places], rows))
    return section


def lens_section(block: Block, level: float, name: str) -> Section | None:
    """Return what `normexp evaluate` found, None where no run of the block has been evaluated."""
    evaluated = sum(row.lens is not None for row in block.rows)
    if not evaluated:
        return None
    section = Section("Other contrasts, other statistics")
    section.words.append(f"{evaluated} of {len(block.rows)} runs were seen by `normexp evaluate`.")
    curve = [
        each
        for row in block.rows
        for each in row.lens or []
        if (each.get("axis"), each.get("change")) == ("contrast", "curve")
    ]
    levels = sorted(dict.fromkeys(each["level"] for each in curve))
    if levels:
        panels = [
            (block.head(c) if c is not None else "", list(_by_contrast(block, c, levels, level)))
            for c in block.drawn
        ]
        ticks = [f"{each:g}" for each in levels]
        ticks = [tick if i % max(1, len(ticks) // 6) == 0 else "" for i, tick in enumerate(ticks)]
        drawing = figures.lines(panels, "share of contrast left", "test accuracy, %", ticks)
        caption = (
            "Test accuracy by contrast, one share for all images, with running statistics and, "
            f"dashed, with those of the test batch. {level:.0%} intervals.{block.left_out}"
        )
        section.figures.append(Figure(f"{name}lens_contrast", caption, caption, drawing))
    section.tables.append(_statistics(block, level, name))
    return section


def _readings(row: Row) -> Mapping[str, float]:
    return row.result.readings if row.result else {}


def _named(block: Block, series: Any, column: Any) -> str:
    return f"{told(series)}, {block.head(column)}" if column is not None else told(series)


def _by_depth(
    block: Block, kind: str, places: Sequence[str], level: float
) -> Iterator[figures.Line]:
    index = 0
    for (series, column), rows in block.cells.items():
        found = [_readings(row) for row in rows]
        points = []
        for x, place in enumerate(places):
            known = [r[f"{kind}/{place}"] for r in found if f"{kind}/{place}" in r]
            points.append(figures.Point(x, spread(known, level) if known else None))
        if any(point.spread is not None for point in points):
            yield figures.Line(_named(block, series, column), index, points)
            index += 1


def _by_contrast(
    block: Block, column: Any, levels: Sequence[float], level: float
) -> Iterator[figures.Line]:
    for i, series in enumerate(block.series):
        rows = block.cells.get((series, column), [])
        for statistics in ("running", "batch"):
            points = [
                figures.Point(x, _of_lens(rows, _curve_at(share, statistics), level))
                for x, share in enumerate(levels)
            ]
            if any(point.spread is not None for point in points):
                dashed = statistics == "batch"
                yield figures.Line(told(series) + ", batch" * dashed, i, points, dashed)


def _curve_at(share: float, statistics: str) -> Callable[[LensRow], bool]:
    wanted = ("contrast", "curve", share, statistics)
    return lambda row: tuple(map(row.get, ("axis", "change", "level", "statistics"))) == wanted


def _of_lens(rows: Sequence[Row], fits: Callable[[LensRow], bool], level: float) -> Spread | None:
    """Return the accuracy in percent, over seeds, of the lens rows that fit."""
    of_seeds = [[100 * e["accuracy"] for e in row.lens or [] if fits(e)] for row in rows]
    found = [values[0] for values in of_seeds if values]
    return spread(found, level) if found else None


def _statistics(block: Block, level: float, name: str) -> Table:
    """Return a row a cell, and a column for each choice of statistics on unchanged images."""
    choices = dict.fromkeys(
        (each["statistics"], each["batch_size"], each["alpha"])
        for row in block.rows
        for each in row.lens or []
        if each.get("axis") == "statistics" and each["change"] == "none"
    )

    def fits(choice: tuple[Any, Any, Any]) -> Callable[[LensRow], bool]:
        wanted = ("statistics", "none", *choice)
        keys = ("axis", "change", "statistics", "batch_size", "alpha")
        return lambda row: tuple(map(row.get, keys)) == wanted

    rows = [
        [
            _named(block, s, c),
            *(with_interval(_of_lens(own, fits(choice), level)) for choice in choices),
        ]
        for (s, c), own in block.cells.items()
    ]
    heads = [
        " ".join(str(part) for part in (what, size, alpha) if part is not None)
        for what, size, alpha in choices
    ]
    caption = (
        "Test accuracy in percent under other statistics: running; of the test batch, by its "
        "size; mixed with the image's own, by their weight; precise and cumulative ones of "
        "training batches, by their size."
    )
    return Table(f"{name}lens_statistics", caption, ["cell", *heads], rows)
