"""How the trainings went: curves and steps to an accuracy; the gap to test and the cost."""

from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean

from normexp.analysis.measures import (
    curve,
    gap,
    parameters,
    seconds,
    speed,
    steps_to,
    train_accuracy,
)
from normexp.analysis.render import figures
from normexp.analysis.render.document import NONE, Figure, Section, Table, points, with_interval
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.rows import Run
from normexp.analysis.spread import PERCENT, spread
from normexp.kinds import typed

HEAD = ("train accuracy, %", "train − test, points")
TARGETS = (30, 50, 70, 90)
XLABELS = {"images": "training images seen", "seconds": "seconds of training"}
TIMES = {"seconds": (seconds, 1), "images/s": (speed, 0)}
"""Measure and digits of each column; without intervals, as machines differ, not seeds."""


def curves_section(block: Block, level: float, name: str, is_drawn: bool) -> Section:
    """Return curves by images seen, and the steps to an accuracy."""
    section = Section("Curves", tables=[_reach(block, level, name)])
    if is_drawn:
        section.figures += _curves(block, "images", name)
    return section


def cost_section(block: Block, level: float, name: str, is_drawn: bool) -> Section:
    """Return times and the gap to training, and curves by seconds."""
    section = Section("Cost", tables=[_cost(block, level, name)])
    if is_drawn:
        section.figures += _curves(block, "seconds", name)
    return section


def _curves(block: Block, over: str, name: str) -> Iterator[Figure]:
    xlabel = XLABELS[over]
    panels = [(block.panel(column), list(_bands(block, column, over))) for column in block.drawn]
    if any(bands for _, bands in panels):
        caption = (
            f"Validation accuracy by {xlabel}: the mean over finished runs, and the range of "
            f"the seeds. A point is the end of an epoch.{block.left_out}"
        )
        drawing = figures.curves(panels, xlabel, "validation accuracy, %")
        yield Figure(f"{name}curves_{over}", caption, caption, drawing)


def _bands(block: Block, column: object, over: str) -> Iterator[figures.Band]:
    for series in block.series:
        x, seeds = curves_of(block.cell(series, column), over)
        if seeds:
            yield figures.Band(typed(series), x, seeds)


def curves_of(runs: Sequence[Run], over: str) -> tuple[list[float], list[Sequence[float]]]:
    """Return the axis, a mean over finished runs, and each run's validation accuracy on it."""
    known = [each for run in runs if (each := curve(run, over)) is not None and each[0]]
    points = min((len(x) for x, _ in known), default=0)
    x = [fmean(xs) for xs in zip(*(x[:points] for x, _ in known), strict=True)]
    return x, [y[:points] for _, y in known]


def _reach(block: Block, level: float, name: str) -> Table:
    def text(runs: Sequence[Run], target: int) -> str:
        ended = [run for run in runs if run.result is not None]
        steps = [steps_to(target)(run) for run in ended]
        reached = [step for step in steps if step is not None]
        if not ended:
            return NONE
        if not reached:
            return "not reached"
        if len(reached) < len(ended):
            return f"{len(reached)} of {len(ended)} seeds"
        return with_interval(spread(reached, level, (0, inf)), 0)

    head = [short(block.by[0]), *(f"to {target} %" for target in TARGETS)]
    caption = (
        "Steps to a validation accuracy, known at the ends of epochs. Where not all seeds reach "
        "it, diverged ones included, there is no mean."
    )
    rows = [
        [block.row(*at), *(text(block.cell(*at), target) for target in TARGETS)]
        for at in block.places
    ]
    return Table(f"{name}steps", caption, head, rows)


def _cost(block: Block, level: float, name: str) -> Table:
    rows = []
    for at in block.places:
        sizes = dict.fromkeys(block.values(*at, parameters))
        train = with_interval(block.spread(*at, train_accuracy, level, PERCENT))
        times = [points(block.spread(*at, m, level), digits) for m, digits in TIMES.values()]
        size = " or ".join(f"{number:,.0f}" for number in sizes) or NONE
        rows.append(
            [block.row(*at), train, with_interval(block.spread(*at, gap, level)), *times, size]
        )
    caption = (
        "Of finished runs: accuracy over the last epoch of training, with augmentation and in "
        "training mode, the gap to test, and the cost as it was on the machines named below."
    )
    return Table(f"{name}cost", caption, [short(block.by[0]), *HEAD, *TIMES, "parameters"], rows)
