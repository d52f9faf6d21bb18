"""The comparisons of a claim: its blocks, with one value for each list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import log2
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
from normexp.analysis.compare import Pairs
from normexp.analysis.measures import validation_accuracy
from normexp.analysis.rows import MeasuredNetwork, Row, Run, cells
from normexp.analysis.scores import Scores, accuracies, by_seed, chance_of, counts, ended, others
from normexp.runs.result import RunResult

OF_RUNS = [field.name for field in fields(RunResult)]


@dataclass(frozen=True)
class Side:
    """Runs by their settings, and what is measured in them."""

    selection: Selection  # as the file has it, `measure` included
    measure: Measure
    less: Side | None = None  # what is taken off, seed by seed

    def __str__(self) -> str:
        return as_typed(self.selection)

    def besides(self, other: Side) -> str:
        """Return the settings that the `other` has not."""
        return as_typed({k: v for k, v in self.selection.items() if v != other.selection.get(k)})

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        settings = {key: value for key, value in self.selection.items() if key != "measure"}
        return [row for row in rows if fits(row.factors, settings)]

    def scores(self, rows: Sequence[Row], tuned: str | None, *, is_difference: bool) -> Scores:
        """Return the measure by seed; no lost run counts where it `is_difference`."""
        chosen = self.rows(rows)
        runs = [row for row in chosen if isinstance(row, Run)]
        if not runs:
            return Scores(by_seed(chosen, self.scaled))
        if self.measure.among:
            return _among(runs, self.measure)
        if tuned:
            runs = max(cells(runs, [tuned]).values(), key=_mean_validation_accuracy)
        if self.measure.accuracy and not is_difference:
            known = [row for row in rows if isinstance(row, Run)]
            chance, unit = chance_of(runs, known), scale(self.measure.unit)
            return self._whole(runs, accuracies(runs, self.scaled, chance, unit))
        found = others(runs, self.scaled)
        if self.less is None:
            return found
        less = self.less.scores(rows, tuned, is_difference=True)
        both = found.values.keys() & less.values.keys()
        values = {seed: found.values[seed] - less.values[seed] for seed in both}
        return Scores(
            values,
            diverged=found.diverged + less.diverged,
            at_chance=found.at_chance + less.at_chance,
            is_drawn=found.is_drawn and less.is_drawn,
            runs=found.runs + less.runs,
        )

    def _whole(self, runs: Sequence[Run], found: Scores) -> Scores:
        """Return the scores, not to be drawn where a run never came down to the training loss."""
        if self.measure.at_train_loss is None:
            return found
        lacking = sum(run.state == "finished" and self.measure(run) is None for run in runs)
        return replace(found, lacking=lacking, is_drawn=not lacking)

    def scaled(self, row: Row) -> float | None:
        """Return the measure of a row in its unit, percent for a share."""
        value = self.measure(row)
        return None if value is None else value * scale(self.measure.unit)


@dataclass(frozen=True)
class Planned:
    """Runs of two kinds, and what the claim says of their difference."""

    factors: Selection  # what tells it from the other comparisons of the claim
    first: Side
    second: Side | float
    tuned: str | None
    expect: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tells it from the others, in words; where it is the only one, both sides."""
        others = {key: value for key, value in self.factors.items() if key != "comparison"}
        words = " ".join(filter(None, [str(self.factors.get("comparison", "")), as_typed(others)]))
        if words or not isinstance(self.second, Side):
            return words or f"{self.first} against {self.second}"
        return f"{self.first_side} against {self.second.besides(self.first)}"

    @property
    def first_side(self) -> str:
        """The settings of the first side that the second has not."""
        return self.first.besides(self.second) if isinstance(self.second, Side) else str(self.first)

    @property
    def is_difference(self) -> bool:
        """Whether it is of differences of accuracies: one is taken off, or both are of one run."""
        if not isinstance(self.second, Side):
            return False
        both = ({**side.selection, "measure": None} for side in (self.first, self.second))
        return self.first.less is not None or next(both) == next(both)

    def pairs(self, rows: Sequence[Row]) -> Pairs:
        measure, rows = self.first.measure, self._of_its_kind(rows)
        first = self.first.scores(rows, self.tuned, is_difference=self.is_difference)
        if isinstance(self.second, Side):
            second = self.second.scores(rows, self.tuned, is_difference=self.is_difference)
        else:
            second = Scores(dict.fromkeys(first.values, self.second * scale(measure.unit)))
        unit = "points" if measure.unit == "%" else measure.unit
        return Pairs.of(first, second, measure.margin * scale(measure.unit), unit)

    def _of_its_kind(self, rows: Sequence[Row]) -> list[Row]:
        """Return trained runs, or networks that were not trained."""
        return [row for row in rows if isinstance(row, MeasuredNetwork) == self.is_measured]

    @property
    def is_measured(self) -> bool:
        measure = self.first.measure
        return not (measure.lens or measure.among) and measure.value.split(".")[0] not in OF_RUNS

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        rows = self._of_its_kind(rows)
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


def scale(unit: str) -> float:
    """Return what a number is multiplied by to be in its unit."""
    return 100.0 if unit == "%" else 1.0


def _among(runs: Sequence[Run], measure: Measure) -> Scores:
    """Return for each seed the setting `value` of its best run, or the largest that learned."""
    by: dict[int, list[Run]] = {}
    for run in runs:
        by.setdefault(run.seed, []).append(run)
    found: dict[int, float] = {}
    for seed, own in by.items():
        learned = [run for run in own if run.result and run.result.has_learned]
        if learned:
            key = validation_accuracy if measure.among == "best" else None
            best = max(learned, key=lambda run: (key(run) or 0.0) if key else _log2(run, measure))
            found[seed] = _log2(best, measure)
    return Scores(found, *counts(runs), runs=ended(runs))


def _log2(run: Run, measure: Measure) -> float:
    return log2(float(str(run.factors[measure.value])))


def _mean_validation_accuracy(rows: Sequence[Row]) -> float:
    """Return the mean accuracy on validation images at the end; runs that diverged have 0."""
    of_runs = [validation_accuracy(row) if isinstance(row, Run) else None for row in rows]
    return fmean(value or 0.0 for value in of_runs)
