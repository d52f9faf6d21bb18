"""The comparisons of a report, judged by tests that hold at every look.

Each norm is compared with batch norm (without one, with the first norm) where nothing else differs.
The comparisons of one block of norms by batch sizes are a family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import OmegaConf

from normexp import build
from normexp.analysis.grades import Grade, Graded, at_chance, grade, sequential_design
from normexp.analysis.report.blocks import Block, blocks
from normexp.analysis.rows import Run
from normexp.settings import typed

REFERENCE = "batch"
OPEN = (Grade.LIKELY, Grade.OPEN)


@dataclass(frozen=True)
class Pair:
    """Two cells to compare."""

    what: str
    """In words, as "instance against batch, batch size 4"."""
    first: Sequence[Run]
    second: Sequence[Run]

    @property
    def cells(self) -> tuple[str, str]:
        """The names of the cells."""
        return self.first[0].spec.cell_name, self.second[0].spec.cell_name

    @property
    def differences(self) -> Mapping[int, float]:
        """First less second in points, by seed."""
        own, other = accuracies(self.first), accuracies(self.second)
        return {seed: own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())}


@dataclass(frozen=True)
class Judged:
    """A comparison of two cells, and its grade."""

    pair: Pair
    graded: Graded

    @property
    def is_open(self) -> bool:
        """Whether more seeds may decide it."""
        return self.graded.grade in OPEN


def judge(runs: Sequence[Run]) -> list[Judged]:
    """Return the grade of every comparison, each cell with the seeds that it has so far."""
    return [each for family in pairs(runs).values() for each in judge_family(family)]


def judge_family(family: Sequence[Pair]) -> list[Judged]:
    """Return the grade of each pair of a family; those at chance are no part of it."""
    margin = float(of_a_report()["margin"])
    drawn = {
        i: pair.differences
        for i, pair in enumerate(family)
        if has_learned(pair.first) or has_learned(pair.second)
    }
    evidence = sequential_design(drawn, margin) if drawn else {}
    return [
        Judged(
            pair,
            grade(drawn[i], evidence[i], margin) if i in drawn else at_chance(pair.differences),
        )
        for i, pair in enumerate(family)
    ]


def pairs(runs: Sequence[Run]) -> dict[str, list[Pair]]:
    """Return the pairs of cells to compare, in families, by the title of their block."""
    return {block.title: list(pairs_of(block)) for block in blocks(runs, of_a_report()["by"])}


def pairs_of(block: Block) -> Iterator[Pair]:
    """Yield what is to be compared in a block."""
    base = REFERENCE if REFERENCE in block.series else block.series[0]
    for column in block.columns:
        for series in block.series:
            own, other = block.cell(series, column), block.cell(base, column)
            if series != base and own and other:
                what = [f"{typed(series)} against {typed(base)}", block.panel(column), block.title]
                yield Pair(", ".join(filter(None, what)), own, other)


def of_a_report() -> Mapping[str, Any]:
    """Return what a report compares by itself."""
    return OmegaConf.load(Path(build.conf_dir(), "report.yaml"))  # type: ignore[return-value]


def accuracies(runs: Sequence[Run]) -> dict[int, float]:
    """Return the accuracy on the test images in percent by seed; chance where a run diverged."""
    results = {run.seed: run.result for run in runs if run.result}
    return {
        seed: 100 * (result.test.accuracy if result.test else chance(runs)[0])
        for seed, result in results.items()
    }


def chance(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the share of the largest class, and the standard error of an accuracy at chance.

    Where all diverged, that of equal classes.
    """
    results = [run.result for run in runs if run.result]
    tests = [result.test for result in results if result.test and result.test.num_images]
    if not tests:
        return 1 / len(results[0].classes), 0.0
    share = tests[0].chance
    return share, sqrt(share * (1 - share) / tests[0].num_images)


def has_learned(runs: Sequence[Run]) -> bool:
    """Whether the mean accuracy is above chance by two standard errors of the test images."""
    share, error = chance(runs)
    return fmean(accuracies(runs).values()) > 100 * (share + 2 * error)
