"""The comparisons of a claim: its blocks, with one value for each list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

from normexp.analysis.claims.claim import (
    Block,
    Claim,
    Measure,
    Selection,
    as_typed,
    combinations,
    fits,
)
from normexp.analysis.compare import Pairs, by_seed
from normexp.analysis.measures import validation_accuracy
from normexp.analysis.rows import Row, Run, cells


@dataclass(frozen=True)
class Side:
    """Runs by their settings, and what is measured in them."""

    selection: Selection
    """As the file has it, `measure` included."""
    measure: Measure
    less: Side | None = None
    """What is taken off, seed by seed."""

    def __str__(self) -> str:
        return as_typed(self.selection)

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows with these settings."""
        settings = {key: value for key, value in self.selection.items() if key != "measure"}
        return [row for row in rows if fits(row.factors, settings)]

    def values(self, rows: Sequence[Row], tuned: str | None) -> dict[int, float]:
        """Return the measure by seed, less what is taken off."""
        chosen = [row for row in self.rows(rows) if self.measure(row) is not None]
        if tuned and chosen:
            chosen = max(cells(chosen, [tuned]).values(), key=_mean_validation_accuracy)
        values = by_seed(chosen, self.measure)
        if self.less is None:
            return values
        less = self.less.values(rows, tuned)
        return {seed: values[seed] - less[seed] for seed in values.keys() & less.keys()}


@dataclass(frozen=True)
class Planned:
    """Runs of two kinds, and what the claim says of their difference."""

    factors: Selection
    """What tells it from the other comparisons of the claim."""
    first: Side
    second: Side | float
    tuned: str | None
    expect: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tells it from the others, in words; where it is the only one, both sides."""
        others = {key: value for key, value in self.factors.items() if key != "comparison"}
        words = " ".join(filter(None, [str(self.factors.get("comparison", "")), as_typed(others)]))
        return words or f"{self.first} against {self.second}"

    def pairs(self, rows: Sequence[Row]) -> Pairs:
        """Return the values of both sides, paired by seed."""
        first = self.first.values(rows, self.tuned)
        if isinstance(self.second, Side):
            second = self.second.values(rows, self.tuned)
        else:
            second = dict.fromkeys(first, self.second)
        return Pairs.of(first, second, self.first.measure.margin)

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of both sides, those that are taken off included."""
        sides = [side for side in (self.first, self.second) if isinstance(side, Side)]
        sides += [side.less for side in sides if side.less]
        return list(
            {row.path / row.name: row for side in sides for row in side.rows(rows)}.values()
        )


def planned(claim: Claim) -> tuple[Planned, ...]:
    """Return the comparisons of a claim; raises ValueError where a measure is not known."""
    found = [
        comparison
        for label, block in claim.comparisons.items()
        for comparison in _of_block(label, block, claim.measures)
    ]
    keys = dict.fromkeys(key for comparison in found for key in comparison.factors)
    varying = [key for key in keys if len({repr(c.factors.get(key)) for c in found}) > 1]
    return tuple(
        replace(c, factors={key: c.factors[key] for key in varying if key in c.factors})
        for c in found
    )


def _of_block(label: str, block: Block, measures: Mapping[str, Measure]) -> Iterator[Planned]:
    """Yield one comparison for each combination of the listed values."""
    only = {"measure": next(iter(measures))} if len(measures) == 1 else {}
    minus = block.minus or {}

    def side(selection: Selection) -> Side:
        for each in (selection, {**selection, **minus}):
            if (measure := each.get("measure")) not in measures:
                raise ValueError(
                    f"comparisons.{label}: measure={measure} is none of {', '.join(measures)}"
                )
        taken_off = {**selection, **minus}
        less = Side(taken_off, measures[str(taken_off["measure"])]) if minus else None
        return Side(selection, measures[str(selection["measure"])], less)

    seconds = combinations(block.second) if isinstance(block.second, Mapping) else [({}, None)]
    for (by_first, one), (by_second, other), (by, shared) in product(
        list(combinations(block.first)), list(seconds), list(combinations(block.across or {}))
    ):
        common = {**only, **shared}
        against = {f"against {key}": value for key, value in by_second.items()}
        yield Planned(
            factors={"comparison": label, **by_first, **against, **by},
            first=side({**common, **one}),
            second=float(str(block.second)) if other is None else side({**common, **other}),
            tuned=block.tuned,
            expect=tuple(map(str, block.expected)),
        )


def _mean_validation_accuracy(rows: Sequence[Row]) -> float:
    """Return the mean accuracy on validation images at the end; runs that diverged have 0."""
    of_runs = [validation_accuracy(row) if isinstance(row, Run) else None for row in rows]
    return fmean(value or 0.0 for value in of_runs)
