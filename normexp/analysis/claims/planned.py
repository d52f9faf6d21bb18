"""The comparisons of a claim: its blocks, with one value for each list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

from normexp.analysis.claims.claim import Block, Claim, Measure, Selection, as_typed, combinations
from normexp.analysis.claims.side import Side, scale, within_what_was_tried
from normexp.analysis.compare import Pairs
from normexp.analysis.rows import MeasuredNetwork, Row, Run
from normexp.analysis.scores import Scores
from normexp.runs.result import RunResult

OF_RUNS = [field.name for field in fields(RunResult)]


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
            if measure.among:
                runs = [row for own in self.by_side(rows) for row in own if isinstance(row, Run)]
                first, second = within_what_was_tried(first, second, measure, runs)
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
        if measure.lens or measure.among or measure.at_train_loss is not None:
            return False
        return measure.value.split(".")[0] not in OF_RUNS

    def by_side(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Return those of `rows` that each side has, and what is taken off either."""
        sides = [side for side in (self.first, self.second) if isinstance(side, Side)]
        sides += [side.less for side in sides if side.less]
        rows = self._of_its_kind(rows)
        return [side.rows(rows) for side in sides]


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
