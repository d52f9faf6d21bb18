"""What a report opens with: what the comparisons come to, in a few sentences with their grades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normexp.analysis.grades import Grade
from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import number, plural
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import Block
from normexp.analysis.report.comparisons import CellComparison, words
from normexp.analysis.report.prose import listed, said, sentence
from normexp.analysis.setup import unfair_none

MOST_SENTENCES = 4


def main_block(parts: Sequence[Block]) -> Block:
    """Return the block that a report opens with: without augmentation, and with the most runs."""
    plain = [block for block in parts if "contrast=none" in block.title.split()]
    return max(plain or parts, key=lambda block: len(block.runs))


def answer(
    parts: Sequence[Block], found: Sequence[CellComparison], tried: Augmentation | None
) -> Iterator[str]:
    """Yield the sentences: of the main block, and whether contrast augmentation helps."""
    finished = sum(accuracy(run) is not None for block in parts for run in block.runs)
    total = sum(len(block.runs) for block in parts)
    if not finished:
        yield f"0 of {plural(total, 'run')} have a test accuracy."
        return
    block = main_block(parts)
    by_series: dict[object, list[CellComparison]] = {}
    for each in found:
        if each.block is block:
            by_series.setdefault(each.series, []).append(each)
    ranked = sorted(by_series.values(), key=_weight, reverse=True)
    yield from map(sentence, ranked[:MOST_SENTENCES])
    if len(ranked) > MOST_SENTENCES:
        yield words([each for own in ranked for each in own])
    if not ranked:
        yield _alone(block)
    if tried is not None:
        yield from tried.sentences
    if unfair := unfair_none(run for each in parts for run in each.runs):
        yield unfair


def _weight(own: Sequence[CellComparison]) -> tuple[int, bool, float]:
    """Return how much there is to say: decided comparisons, what is better, by how much."""
    graded = [each.comparison.graded for each in own if each.comparison.graded]
    decided = sum(each.grade in (Grade.DECIDED, Grade.SAME) for each in graded)
    is_better = any(each.grade is Grade.DECIDED and each.mean > 0 for each in graded)
    return decided, is_better, max((abs(each.mean) for each in graded), default=0.0)


def _alone(block: Block) -> str:
    """Return the accuracies of a block with one series, which is compared with nothing."""
    (series,) = block.series
    means = [
        f"{number(scores.mean)} %{f' at {block.head(column)}' if column is not None else ''}"
        for column in block.columns
        if (scores := block.scores(series, column)).values
    ]
    return (
        f"{said(block.by[0], series).capitalize()}: {listed(means)}; there is nothing to compare."
    )
