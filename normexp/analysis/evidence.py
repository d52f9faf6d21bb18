"""What an answer rests on: the user's own runs, or those that normexp ships."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from normexp.analysis.claims.measured import measured_of, measured_rows
from normexp.analysis.comparable import at_best_rates, at_tuned_rates
from normexp.analysis.rows import MeasuredNetwork, Run, of_study
from normexp.analysis.setup import budget_words
from normexp.errors import UserError
from normexp.kinds import typed
from normexp.runs import reference
from normexp.runs.catalogue import Catalogue, read_runs
from normexp.settings import SHIPPED
from normexp.tuned import TRIALS, Tuned, shipped_cells, tuned_cells


@dataclass(frozen=True)
class Evidence:
    """Runs, the learning rates that were chosen for them, and measurements without training."""

    outputs: Sequence[Path]
    runs: Sequence[Run]
    tuned: Sequence[Tuned]
    words: str = ""  # where they come from; empty where they are the user's own
    problems: Sequence[str] = ()  # a line on each record that is wrong

    def measured(self, claim: str) -> list[MeasuredNetwork]:
        """Return what was measured for a claim; of the user's own, if there is any."""
        rows = [row for each in self.outputs for row in measured_rows(each, claim)]
        # What was measured in several folders is one measurement, as runs are one by their name.
        own = {(repr(row.factors), row.seed): row for row in reversed(rows)}
        if own or not self.words:
            return [*reversed(own.values())]
        every = reference.about().measured
        return [row for each in every if each.claim == claim for row in measured_of(each)]


def own(outputs: Sequence[Path], study: str | None = None) -> Evidence:
    """Return the runs below some folders, of one study or all but trials.

    Raises UserError if none is.
    """
    found = read_runs(*outputs)
    if not found.entries and not found.left_out:
        where = " and ".join(map(str, outputs))
        raise UserError(
            f"there is no run in {where}; make one: normexp train, or take those that normexp "
            f"ships: study={SHIPPED}"
        )
    evidence = _of(found, outputs, study)
    if not evidence.runs:
        raise UserError(
            "all runs are trials of normexp tune, which say nothing of norms; train at the rates "
            "that it chose, with optimizer.lr=tuned, or name the study of the trials"
        )
    return evidence


def _of(found: Catalogue, outputs: Sequence[Path], study: str | None) -> Evidence:
    own_runs = of_study(found, outputs, study)
    if study is None:
        own_runs = [run for run in own_runs if not is_trial(run)]
    return Evidence(outputs, own_runs, tuned_cells(*outputs), problems=found.problems)


def is_trial(run: Run) -> bool:
    """Whether a run only served to choose a learning rate, on seeds that no answer may use."""
    return reference.all_begin(run.studies, TRIALS)


def shipped(outputs: Sequence[Path] = ()) -> Evidence:
    """Return the runs that normexp ships, but those that only chose a learning rate."""
    found = [Run.of(row.entry) for row in reference.rows(without=TRIALS)]
    return Evidence(outputs, found, shipped_cells(), _words(found))


def own_or_shipped(outputs: Sequence[Path], study: str | None) -> Evidence:
    """Return the user's own runs, or where there are none or `study` says so those that ship."""
    if study == SHIPPED:
        return shipped()
    found = read_runs(*outputs)
    if not found.entries and not found.left_out:
        return shipped(outputs)
    evidence = _of(found, outputs, None)
    return evidence if evidence.runs else shipped(outputs)


def chosen(outputs: Sequence[Path], study: str | None) -> Evidence:
    """Return the runs of a study, or all; raises UserError where there is none.

    Of those that normexp ships, the ones at one learning rate a cell: the tuned one, or where there
    is none the best.
    """
    if study != SHIPPED:
        return own(outputs, study)
    found = shipped()
    if not found.runs:
        raise UserError(f"study={study}: {found.words}")
    return replace(found, runs=at_best_rates(at_tuned_rates(found.runs, found.tuned)))


def _words(found: Sequence[Run]) -> str:
    """Return in a line where the numbers come from, and what was trained how."""
    which = f"the {SHIPPED} study that normexp ships (version {reference.about().version})"
    if not found:
        return f"{which} has no run but those that chose learning rates"
    parts = (_network, _images, budget_words, _machine)
    regime = ", ".join(_each(found, part) for part in parts)
    return f"From {which}, {len(found)} runs; in this study: {regime}"


def _each(found: Sequence[Run], of: Callable[[Run], str]) -> str:
    return " or ".join(dict.fromkeys(map(of, found)))


def _network(run: Run) -> str:
    widths = run.spec.model.network.get("widths")
    return run.spec.model.name + (f" of widths {typed(widths)}" if widths else "")


def _images(run: Run) -> str:
    data, counts = run.spec.data, run.result.counts if run.result else None
    name = reference.IMAGES.get(str(data.source.get("content")), data.name)
    number = counts and f"{counts.train:,} training and {counts.test:,} test images, "
    return f"{number or ''}{name}"


def _machine(run: Run) -> str:
    environment = run.result.environment if run.result else None
    return f"{environment.precision} on {environment.processor}" if environment else ""
