"""What `normexp evaluate` found: accuracy under other contrasts and other statistics."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from normexp.analysis.measures import Measure
from normexp.analysis.render import figures
from normexp.analysis.render.document import Figure, Section, Table, with_interval
from normexp.analysis.report.blocks import Block
from normexp.analysis.rows import Run
from normexp.analysis.spread import PERCENT
from normexp.kinds import typed
from normexp.runs.tested import CONTRAST_LEFT

STATISTICS = ("statistics", "batch_size", "alpha")  # the keys that tell choices of statistics apart


def lens_section(block: Block, level: float, name: str) -> Section | None:
    """Return what `normexp evaluate` found, None where no run of the block has been evaluated."""
    asked = Counter(_asked(run) for run in block.runs if run.lens)
    if not asked:
        return None
    section = Section("Other contrasts, other statistics")
    evaluated, ((most, shown),) = asked.total(), asked.most_common(1)
    section.words.append(f"{evaluated} of {len(block.runs)} runs were seen by `normexp evaluate`.")
    if shown < evaluated:
        section.words.append(
            f"{evaluated - shown} of them had other settings than most there, such as "
            "`images`, and are left out."
        )
    cells = {
        place: [run for run in own if run.lens and _asked(run) == most]
        for place, own in block.cells.items()
    }
    seen = replace(block, cells=cells)
    shares = {
        row["level"]
        for run in seen.runs
        for row in run.lens
        if (row["axis"], row.get("change")) == ("contrast", "curve")
    }
    if shares:
        section.figures.append(_by_contrast(seen, sorted(shares), level, name))
    section.tables += [*_statistics(seen, level, name), *_severities(seen, level, name)]
    return section


def _asked(run: Run) -> str:
    """Return the settings of the lens that change what a row of it tells."""
    of = run.lens_settings
    found = {"common": of.get("common")}
    for axis, key in (("contrast", "batch_size"), ("statistics", "precise_images")):
        own = of.get(axis)
        found[axis] = own.get(key) if isinstance(own, Mapping) else None
    return json.dumps(found, sort_keys=True)


def lens_accuracy(**wanted: object) -> Measure:
    """Return the measure of accuracy in percent in the row of the lens that is as wanted."""

    def measure(run: Run) -> float | None:
        for row in run.lens:
            if all(row.get(key) == value for key, value in wanted.items()):
                return 100 * float(row["accuracy"])
        return None

    return measure


def _by_contrast(block: Block, shares: Sequence[float], level: float, name: str) -> Figure:
    panels = [(block.panel(c), list(_lines(block, c, shares, level))) for c in block.drawn]
    ticks = [f"{share:g}" for share in shares]
    ticks = [tick if i % max(1, len(ticks) // 6) == 0 else "" for i, tick in enumerate(ticks)]
    drawing = figures.lines(
        panels, figures.Axis.even("share of contrast left", ticks), "test accuracy, %"
    )
    caption = (
        "Of evaluated runs: test accuracy by contrast, one share for all images, with running "
        f"statistics and, dashed, with those of the test batch. {level:.0%} intervals."
        f"{block.left_out}"
    )
    return Figure(f"{name}lens_contrast", caption, caption, drawing)


def _lines(
    block: Block, column: object, shares: Sequence[float], level: float
) -> Iterator[figures.Line]:
    for series in block.series:
        for statistics in ("running", "batch"):
            measures = [
                lens_accuracy(axis="contrast", change="curve", level=share, statistics=statistics)
                for share in shares
            ]
            spreads = [
                block.spread(series, column, measure, level, PERCENT) for measure in measures
            ]
            if any(spreads):
                dashed = statistics == "batch"
                yield figures.Line(typed(series) + ", batch" * dashed, spreads, dashed)


def _statistics(seen: Block, level: float, name: str) -> Iterator[Table]:
    """Yield a row a cell, and a column for each choice of statistics on unchanged images."""
    choices = dict.fromkeys(
        tuple(row[key] for key in STATISTICS)
        for run in seen.runs
        for row in run.lens
        if row["axis"] == "statistics" and row["change"] == "none"
    )
    if not choices:
        return
    heads = [" ".join(str(part) for part in choice if part is not None) for choice in choices]
    measures = [
        lens_accuracy(axis="statistics", change="none", **dict(zip(STATISTICS, each, strict=True)))
        for each in choices
    ]
    rows = [
        [seen.row(*at), *(with_interval(seen.spread(*at, m, level, PERCENT)) for m in measures)]
        for at in seen.cells
    ]
    caption = (
        "Of evaluated runs: test accuracy in percent under other statistics: running; of the test "
        "batch, by its size; mixed with the image's own, by their weight; precise and cumulative "
        "ones of training batches, by their size."
    )
    yield Table(f"{name}lens_statistics", caption, ["cell", *heads], rows)


def _severities(seen: Block, level: float, name: str) -> Iterator[Table]:
    """Yield a row a cell, and a column for each contrast severity, by the test batch."""
    batch = {"axis": "contrast", "statistics": "batch"}
    measures = [lens_accuracy(**batch, change="none")]
    measures += [
        lens_accuracy(**batch, change="corruption", level=share) for share in CONTRAST_LEFT.values()
    ]
    spreads = {at: [seen.spread(*at, m, level, PERCENT) for m in measures] for at in seen.cells}
    rows = [[seen.row(*at), *map(with_interval, own)] for at, own in spreads.items() if any(own)]
    if not rows:
        return
    caption = (
        "Of evaluated runs: test accuracy in percent by contrast severity, with the statistics of "
        "the test batch in place of the running ones."
    )
    head = ["cell", "unchanged", *(f"severity {severity}" for severity in CONTRAST_LEFT)]
    yield Table(f"{name}lens_severities", caption, head, rows)
