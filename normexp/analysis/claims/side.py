"""One side of a claim's comparison: its runs, and what is measured in them, by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2

from normexp.analysis.claims.claim import Measure, Selection, as_typed, fits
from normexp.analysis.measures import at_best, validation_accuracy
from normexp.analysis.rows import Row, Run
from normexp.analysis.scores import Scores, accuracies, by_seed, chance_of, counts, ended, others


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
            runs = at_best(runs, tuned)
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
        lacking = ended([run for run in runs if self.measure(run) is None])
        reason = f"{lacking} of {found.runs} never reached that training loss"
        return replace(found, reason=reason, is_drawn=False) if lacking else found

    def scaled(self, row: Row) -> float | None:
        """Return the measure of a row in its unit, percent for a share."""
        value = self.measure(row)
        return None if value is None else value * scale(self.measure.unit)


def scale(unit: str) -> float:
    """Return what a number is multiplied by to be in its unit."""
    return 100.0 if unit == "%" else 1.0


def _among(runs: Sequence[Run], measure: Measure) -> Scores:
    """Return for each seed the setting `value` of its best run, or the largest that learned.

    Only of seeds that have an ended run at each value that was tried. Not to be drawn where at
    such a seed none of them learned: it has no value, and what is claimed may be truest there.
    """
    by: dict[int, list[Run]] = {}
    for run in runs:
        by.setdefault(run.seed, []).append(run)
    tried = {_log2(run, measure) for run in runs}
    found: dict[int, float] = {}
    unlearned = 0
    for seed, every in by.items():
        own = [run for run in every if run.result]
        if {_log2(run, measure) for run in own} != tried:
            continue
        if learned := [run for run in own if run.result and run.result.has_learned]:
            key = validation_accuracy if measure.among == "best" else None
            best = max(learned, key=lambda run: (key(run) or 0.0) if key else _log2(run, measure))
            found[seed] = _log2(best, measure)
        else:
            unlearned += 1
    reason = f"{unlearned} of {len(by)} seeds learned at no {measure.value}" if unlearned else ""
    lost = counts(runs)
    return Scores(found, *lost, is_drawn=not unlearned, runs=ended(runs), reason=reason)


def within_what_was_tried(
    first: Scores, second: Scores, measure: Measure, runs: Sequence[Run]
) -> tuple[Scores, Scores]:
    """Return both scores, not to be drawn where a seed has both at one end of what was tried.

    Their difference there is 0 whatever lies beyond.
    """
    tried = [_log2(run, measure) for run in runs]
    ends = {min(tried), max(tried)} if tried else set()
    seeds = first.values.keys() & second.values.keys()
    count = sum(first.values[s] == second.values[s] and first.values[s] in ends for s in seeds)
    if not count:
        return first, second
    reason = f"in {count} of {len(first.values)} seeds both are at the same end of what was tried"
    return replace(first, is_drawn=False, reason=reason), replace(second, is_drawn=False)


def _log2(run: Run, measure: Measure) -> float:
    return log2(float(str(run.factors[measure.value])))
