"""Test accuracy by series and column, and what is left of it as contrast goes."""

from collections.abc import Sequence
from math import log2

from normexp.analysis.collapse import collapse_warning
from normexp.analysis.compare import not_worse
from normexp.analysis.measures import accuracy, at_contrast, balanced_accuracy
from normexp.analysis.render import figures
from normexp.analysis.render.document import (
    Figure,
    Section,
    Table,
    interval,
    with_interval,
)
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.right_images import interval_of
from normexp.analysis.rows import Run, design_of
from normexp.analysis.scores import counts
from normexp.analysis.spread import PERCENT as PERCENT_RANGE
from normexp.kinds import typed
from normexp.runs.tested import SEVERITIES
from normexp.runs.text import plural

PERCENT = "test accuracy, %"
LEVELS = ("0", *SEVERITIES)  # contrast severities; 0: unchanged


def accuracy_section(block: Block, margin: float, level: float, name: str) -> Section:
    """Return a block's test accuracy: a drawing, and the table with the best in bold."""
    caption = (
        f"Test accuracy in percent: mean over seeds with its {level:.0%} interval (Student's t), "
        "which tells what another seed may give, not other test images; one or two seeds have "
        "their points. Bold: the best of a column, and all above chance that are not decided to "
        "be worse than it; where seeds are few or far apart, that may be a much lower mean. "
        f"A diverged run counts as chance: {100 * block.chance.share:.3g} %."
    )
    head, rows = block.table(lambda s, c: cell(block, s, c, level))
    scores = [{s: block.scores(s, column) for s in block.series} for column in block.columns]
    best = not_worse(scores, margin, design_of(block.runs))
    bold = frozenset(
        (i, 1 + j)
        for j, own in enumerate(best)
        for i, series in enumerate(block.series)
        if series in own
    )
    section = Section("Test accuracy", _warnings(block))
    section.tables.append(Table(f"{name}accuracy", caption, head, rows, bold))
    if block.has(accuracy):
        section.figures.append(_lines(block, level, name))
    return section


def further_tables(block: Block, level: float, name: str) -> list[Table]:
    """Return the accuracy balanced over classes, and over test images, where there are such."""
    return [*_balanced(block, level, name), *_over_images(block, name)]


def _balanced(block: Block, level: float, name: str) -> list[Table]:
    """Return the accuracy balanced over classes, where these have unequal numbers of images."""
    tests = (run.result.test for run in block.runs if run.result and run.result.test)
    if all(test.has_equal_classes for test in tests):
        return []
    head, rows = block.table(
        lambda s, c: with_interval(block.spread(s, c, balanced_accuracy, level, PERCENT_RANGE))
    )
    caption = (
        "Balanced test accuracy in percent, the mean over classes, as these have unequal numbers "
        "of test images: chance is 1 over the number of classes. Of finished runs."
    )
    return [Table(f"{name}balanced", caption, head, rows)]


def _over_images(block: Block, name: str) -> list[Table]:
    """Return the intervals over seeds and test images, where runs keep what they got right."""
    intervals = {at: interval_of(runs) for at, runs in block.cells.items()}
    if not any(intervals.values()):
        return []
    head, rows = block.table(lambda s, c: interval(intervals.get((s, c))) or "–")
    caption = (
        "The 95 % interval of the test accuracy over seeds and test images: what another seed on "
        "other images like these may give (docs/statistics.md has the model). None for fewer than "
        "three seeds, where a run diverged, and where runs had different test images."
    )
    return [Table(f"{name}images", caption, head, rows)]


def contrast_section(block: Block, level: float, name: str) -> Section:
    """Return the accuracy at each contrast severity."""

    def spreads(series: object, column: object) -> figures.Spreads:
        return [block.accuracy(series, column, at_contrast(s), level) for s in LEVELS]

    panels = [
        (block.panel(column), [figures.Line(typed(s), spreads(s, column)) for s in block.series])
        for column in block.drawn
    ]
    axis = figures.Axis.even("contrast severity", LEVELS)
    drawing = figures.lines(panels, axis, PERCENT)
    caption = f"Test accuracy as contrast is taken away, with {level:.0%} intervals; 0: unchanged."
    alternative = f"{caption} The table has the numbers."
    figure = Figure(f"{name}contrast", caption + block.left_out, alternative, drawing)
    places = [at for at in block.places if at in block.cells]
    rows = [[block.row(*at), *map(with_interval, spreads(*at))] for at in places]
    head = [short(block.by[0]), "unchanged", *(f"severity {s}" for s in SEVERITIES)]
    numbers = "Test accuracy in percent by contrast severity: means over seeds, as in the figure."
    table = Table(f"{name}contrast", numbers, head, rows)
    words = ["Severity 1 to 5 leaves 75, 50, 40, 30 and 15 % of each image's contrast."]
    return Section("Contrast severity", words, [table], [figure])


def cell(block: Block, series: object, column: object, level: float) -> str:
    """Return the accuracy of a cell, or why there is none."""
    runs = block.cell(series, column)
    lacking = state_words(runs)
    if not any(run.state == "finished" for run in runs):
        return lacking
    _, at_chance = counts(runs)
    learned = f"{at_chance} of {len(runs)} at chance" if at_chance else ""
    text = with_interval(block.accuracy(series, column, accuracy, level))
    return "; ".join(filter(None, [text, lacking, learned]))


def state_words(runs: Sequence[Run]) -> str:
    """Return which runs of a cell did not finish, empty if all did."""
    if not runs:
        return "no run"
    states = [run.state for run in runs if run.state != "finished"]
    of = f" of {len(runs)}" if len(runs) > len(states) else ""
    return ", ".join(f"{states.count(state)}{of} {state}" for state in dict.fromkeys(states))


def _warnings(block: Block) -> list[str]:
    found = {at: block.scores(*at) for at in block.places if at in block.cells}
    seeds = [len(scores.values) for scores in found.values()]
    words = []
    if few := seeds.count(1) + seeds.count(2):
        words.append(
            f"On one or two seeds: {few} of {plural(len(seeds), 'cell')}; there is no interval, "
            "and nothing can be concluded."
        )
    if empty := seeds.count(0):
        words.append(f"Without a result (yet): {empty} of {plural(len(seeds), 'cell')}.")
    by_hint: dict[str, list[str]] = {}
    for at, scores in found.items():
        if scores.is_at_chance:
            by_hint.setdefault(_hint(block.cell(*at)), []).append(block.row(*at))
    words += [
        f"{'; '.join(own)}: not above chance. {hint}".strip() for hint, own in by_hint.items()
    ]
    for at, scores in found.items():
        if scores.is_at_chance:
            continue
        if warning := collapse_warning(scores.at_chance + scores.diverged, scores.runs):
            words.append(f"{block.place(*at)}: {warning}.")
    return words


def _hint(runs: Sequence[Run]) -> str:
    """Return what to try, of the first run that has not learned."""
    hints = (run.result.hint(run.spec.model.own) for run in runs if run.result)
    return next((f"A run there {hint}." for hint in hints if hint), "")


def _lines(block: Block, level: float, name: str) -> Figure:
    spreads = [
        [block.accuracy(series, column, accuracy, level) for column in block.columns]
        for series in block.series
    ]
    names = [*map(typed, block.series)]
    if len(block.columns) == 1:
        drawing = figures.dots(names, [own[0] for own in spreads], PERCENT)
    else:
        of_series = list(map(figures.Line, names, spreads))
        drawing = figures.lines([("", of_series)], axis_of(block), PERCENT)
    caption = (
        f"Test accuracy, mean over seeds and {level:.0%} interval; diverged runs count as chance; "
        "hollow: single seeds."
    )
    over = " by ".join(map(short, block.by))
    alternative = f"Test accuracy by {over}; the table “Test accuracy” has the numbers."
    return Figure(f"{name}accuracy", caption, alternative, drawing)


def axis_of(block: Block) -> figures.Axis:
    """Return the axis of a block's columns: batch sizes by their logarithm, others evenly."""
    ticks = [*map(typed, block.columns)]
    numbers = [
        float(column)
        for column in block.columns
        if isinstance(column, int | float) and not isinstance(column, bool)
    ]
    are_numbers = len(numbers) == len(ticks)
    if block.by[1] == "batch_size" and are_numbers:
        return figures.Axis("batch size", ticks, [*map(log2, numbers)])
    return figures.Axis.even(short(block.by[1]), ticks, joined=are_numbers)
