"""A run that was trained again, compared with what normexp ships of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from normexp.analysis.intervals import prediction_interval
from normexp.runs.result import Environment, RunResult

LEVEL = 0.999


class Outcome(StrEnum):
    """What the comparison comes to."""

    EQUAL = "equal to the bit"
    WITHIN = "within"
    OUTSIDE = "outside"
    NONE = "no verdict"


@dataclass(frozen=True)
class Compared:
    """The outcome, and the numbers that it rests on."""

    outcome: Outcome
    words: str


def compare(then: RunResult, again: RunResult, others: Sequence[float | None]) -> Compared:
    """Compare a run with the same run trained again, of which `then` was shipped.

    `others` are the test accuracies in percent of the other seeds of its cell, None of one that
    diverged. Both results are trimmed (`runs/trimmed.py`).
    """
    # Runs of before have no inputs.
    inputs = again.inputs if then.inputs else None
    if replace(again, timing=then.timing, environment=then.environment, inputs=inputs) == then:
        return Compared(Outcome.EQUAL, f"{Outcome.EQUAL}: {_accuracy(then)}")
    changed = f"{_accuracy(then)}, now {_accuracy(again)}"
    if is_same_kind(then.environment, again.environment):
        return Compared(Outcome.OUTSIDE, f"bits differ on the same kind of machine: {changed}")
    accuracies = [each for each in others if each is not None]
    if not then.test or not again.test:
        if then.outcome == again.outcome:
            return Compared(Outcome.WITHIN, changed)
        diverged = len(others) - len(accuracies) + (then.test is None)
        if 0 < diverged <= len(others):
            some = f"{diverged} of the {len(others) + 1} seeds of its cell diverged"
            return Compared(Outcome.NONE, f"{Outcome.NONE}, as {some}: {changed}")
        return Compared(Outcome.OUTSIDE, changed)
    interval = prediction_interval(accuracies, LEVEL)
    interval = interval and interval.clipped(0, 100)
    if interval is None or (interval.low, interval.high) == (0, 100):
        few = f"{len(accuracies)} other seeds of its cell rule no accuracy out"
        return Compared(Outcome.NONE, f"{Outcome.NONE}, as {few}: {changed}")
    if interval.low == interval.high:
        alike = f"{len(accuracies)} other seeds of its cell are equal, which tells of no spread"
        return Compared(Outcome.NONE, f"{Outcome.NONE}, as {alike}: {changed}")
    image = 100 / again.test.num_images  # by which every accuracy may differ
    is_within = interval.low - image <= 100 * again.test.accuracy <= interval.high + image
    outcome = Outcome.WITHIN if is_within else Outcome.OUTSIDE
    of = f"what {len(accuracies)} other seeds predict of one run, {interval.text()} %"
    return Compared(outcome, f"{outcome} {of}: {changed}")


def without_verdict(then: RunResult, again: RunResult) -> Compared:
    """Compare with a run that was trained on other images."""
    difference = ""
    if then.test and again.test:
        difference = f", {100 * (again.test.accuracy - then.test.accuracy):+.2f} points"
    words = f"{Outcome.NONE}, as these are other images: {_accuracy(then)}, now {_accuracy(again)}"
    return Compared(Outcome.NONE, words + difference)


def is_same_kind(then: Environment, now: Environment) -> bool:
    """Whether two environments must give equal bits."""
    return bool(then.instructions) and replace(now, python=then.python) == then


def _accuracy(result: RunResult) -> str:
    return f"{100 * result.test.accuracy:.2f} %" if result.test else result.outcome
