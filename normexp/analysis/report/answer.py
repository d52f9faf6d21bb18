"""What a report opens with: what the comparisons come to, in a few sentences with their grades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normexp.analysis.goes_on import tunes_of
from normexp.analysis.grades import Grade
from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import number
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import Block
from normexp.analysis.report.comparisons import CellComparison, further, words
from normexp.analysis.report.prose import at, listed, said, sentence
from normexp.analysis.setup import has_same_rates, is_tuned, unfair_none
from normexp.runs.text import plural
from normexp.tuned import Tuned

MOST_SENTENCES = 4
ONE_RATE = "One learning rate for all norms, which favours those that it suits."


def main_block(parts: Sequence[Block]) -> Block:
    """Return the block that a report opens with: without augmentation, and with the most runs."""
    plain = [block for block in parts if "contrast=none" in block.title.split()]
    return max(plain or parts, key=lambda block: len(block.runs))


def answer(
    parts: Sequence[Block],
    found: Sequence[CellComparison],
    tried: Augmentation | None,
    tuned: Sequence[Tuned] = (),
) -> Iterator[str]:
    """Yield the sentences: of the main block, and whether contrast augmentation helps."""
    finished = sum(accuracy(run) is not None for block in parts for run in block.runs)
    total = sum(len(block.runs) for block in parts)
    if not finished:
        yield f"0 of {plural(total, 'run')} have a test accuracy."
        return
    block = main_block(parts)
    by_series: dict[object, list[CellComparison]] = {}
    for each in _to_tell(block, found):
        by_series.setdefault(each.series, []).append(each)
    yield from _without_learning(block, tuned)
    ranked = sorted(by_series.values(), key=_weight, reverse=True)
    yield from map(sentence, ranked[:MOST_SENTENCES])
    if len(ranked) > MOST_SENTENCES:
        yield words([each for own in ranked for each in own])
    if len(block.series) == 1:
        yield _alone(block)
    if block.by[0] == "norm" and has_same_rates(block.runs) and not is_tuned(block.runs, tuned):
        yield ONE_RATE
    if tried is not None:
        yield from tried.sentences
    if unfair := unfair_none(run for each in parts for run in each.runs):
        yield unfair


def what_next(
    block: Block, found: Sequence[CellComparison], tuned: Sequence[Tuned]
) -> tuple[str, str]:
    """Return what comes next in words, and the lines to be typed; both empty where nothing does."""
    lost = {column for series, column in block.cells if block.scores(series, column).is_lost}
    runs = [run for (_, column), own in block.cells.items() if column in lost for run in own]
    steps: dict[str, str] = {}
    if runs and not is_tuned(runs, tuned):
        steps["choose learning rates, then train with optimizer.lr=tuned"] = tunes_of(runs)
    if more := further(_to_tell(block, found)):
        steps[f"add seeds ({more.words})"] = more.command
    return f"Next: {'; '.join(steps)}." if steps else "", "\n".join(steps.values())


def _to_tell(block: Block, found: Sequence[CellComparison]) -> list[CellComparison]:
    """Return the comparisons between cells that learned; those without a pair only if all are."""
    own = [each for each in found if each.block is block and not each.is_lost]
    return [each for each in own if each.comparison.graded] or own


def _without_learning(block: Block, tuned: Sequence[Tuned]) -> Iterator[str]:
    """Yield in one sentence where no run has learned, and what to do."""
    parts, runs = [], []
    for series in block.series:
        scores = {column: block.scores(series, column) for column in block.columns}
        lost = {column: own for column, own in scores.items() if own.is_lost}
        if not lost:
            continue
        ended, diverged = sum(s.runs for s in lost.values()), sum(s.diverged for s in lost.values())
        how = f"in {ended} of {plural(ended, 'run')}"
        how += f" ({diverged} diverged)" if diverged else ""
        parts.append(f"with {said(block.by[0], series)} {how}{at(block, [*lost])}")
        runs += [run for column in lost for run in block.cell(series, column)]
    if parts:
        tune = "" if is_tuned(runs, tuned) else ", or let normexp tune choose the learning rate"
        chance = f"not above chance ({100 * block.chance.share:.3g} %)"
        yield f"Test accuracy is {chance} {'; '.join(parts)}: train longer{tune}."


def _weight(own: Sequence[CellComparison]) -> tuple[int, int, bool, float]:
    """Return how much there is to say: what is decided or likely, what is better, by how much."""
    graded = [each.comparison.graded for each in own if each.comparison.graded]
    decided = sum(each.grade in (Grade.DECIDED, Grade.SAME) for each in graded)
    likely = sum(each.grade is Grade.LIKELY for each in graded)
    is_better = any(each.grade is Grade.DECIDED and each.mean > 0 for each in graded)
    return decided, likely, is_better, max((abs(each.mean) for each in graded), default=0.0)


def _alone(block: Block) -> str:
    """Return the accuracies of a block with one series, which is compared with nothing."""
    (series,) = block.series
    means = [
        f"{number(scores.mean)} %{f' at {block.head(column)}' if column is not None else ''}"
        for column in block.columns
        if (scores := block.scores(series, column)).values
    ]
    words = said(block.by[0], series)
    name = words if "=" in words else words[0].upper() + words[1:]  # a setting as it is typed
    return f"{name}: {listed(means)}; there is nothing to compare."
