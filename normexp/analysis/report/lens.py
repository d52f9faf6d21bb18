"""What `normexp evaluate` found: accuracy under other contrasts and other statistics."""

from collections.abc import Iterator, Sequence

from normexp.analysis.measures import Measure
from normexp.analysis.render import figures
from normexp.analysis.render.document import Figure, Section, Table, with_interval
from normexp.analysis.report.blocks import Block
from normexp.analysis.rows import Run
from normexp.analysis.spread import PERCENT
from normexp.kinds import typed

STATISTICS = ("statistics", "batch_size", "alpha")  # the keys that tell choices of statistics apart


def lens_section(block: Block, level: float, name: str) -> Section | None:
    """Return what `normexp evaluate` found, None where no run of the block has been evaluated."""
    evaluated = sum(bool(run.lens) for run in block.runs)
    if not evaluated:
        return None
    section = Section("Other contrasts, other statistics")
    section.words.append(f"{evaluated} of {len(block.runs)} runs were seen by `normexp evaluate`.")
    shares = {
        row["level"]
        for run in block.runs
        for row in run.lens
        if (row["axis"], row.get("change")) == ("contrast", "curve")
    }
    if shares:
        section.figures.append(_by_contrast(block, sorted(shares), level, name))
    section.tables.append(_statistics(block, level, name))
    return section


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
        "Of finished runs: test accuracy by contrast, one share for all images, with running "
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


def _statistics(block: Block, level: float, name: str) -> Table:
    """Return a row a cell, and a column for each choice of statistics on unchanged images."""
    choices = dict.fromkeys(
        tuple(row[key] for key in STATISTICS)
        for run in block.runs
        for row in run.lens
        if row["axis"] == "statistics" and row["change"] == "none"
    )
    heads = [" ".join(str(part) for part in choice if part is not None) for choice in choices]
    measures = [
        lens_accuracy(axis="statistics", change="none", **dict(zip(STATISTICS, each, strict=True)))
        for each in choices
    ]
    rows = [
        [block.row(*at), *(with_interval(block.spread(*at, m, level, PERCENT)) for m in measures)]
        for at in block.cells
    ]
    caption = (
        "Of finished runs: test accuracy in percent under other statistics: running; of the test "
        "batch, by its size; mixed with the image's own, by their weight; precise and cumulative "
        "ones of training batches, by their size."
    )
    return Table(f"{name}lens_statistics", caption, ["cell", *heads], rows)
