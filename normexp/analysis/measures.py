"""What a run found, as numbers: each is a function of a row, None where the run has no such."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from normexp.analysis.rows import Measure, Row, accuracy

SEVERITIES = ("1", "2", "3", "4", "5")


def at_contrast(severity: str) -> Measure:
    """Return the measure of test accuracy in percent at a contrast severity; "0" is unchanged."""

    def measure(row: Row) -> float | None:
        if severity == "0":
            return accuracy(row)
        test = row.result.test if row.result else None
        return 100 * test.contrast[severity] if test else None

    return measure


def train_accuracy(row: Row) -> float | None:
    """Return the accuracy over the last epoch of training in percent, with augmentation."""
    if accuracy(row) is None or row.result is None or not row.result.history:
        return None
    return 100 * row.result.history[-1].train_accuracy


def gap(row: Row) -> float | None:
    """Return training less test accuracy in points."""
    train, test = train_accuracy(row), accuracy(row)
    return None if train is None or test is None else train - test


def seconds(row: Row) -> float | None:
    """Return how long the training took."""
    return row.result.timing.seconds if row.result and row.result.test else None


def speed(row: Row) -> float | None:
    """Return the images trained on per second."""
    return row.result.timing.images_per_second if row.result and row.result.test else None


def parameters(row: Row) -> float | None:
    """Return the number of trained numbers."""
    return float(row.result.parameters) if row.result else None


def steps_to(percent: float) -> Measure:
    """Return the measure of steps until the validation accuracy first is `percent` or more.

    It is known at the ends of epochs only. None: never reached.
    """

    def measure(row: Row) -> float | None:
        history = row.result.history if row.result else ()
        steps = (each.step for each in history if 100 * each.val_accuracy >= percent)
        return next((float(step) for step in steps), None)

    return measure


def curve(row: Row, over: str) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return validation accuracy in percent by `images` or `seconds`; None if not finished."""
    if row.result is None or row.result.test is None:
        return None
    history = row.result.history
    if over == "images":
        x = [float(each.images) for each in history]
    else:
        x = list(accumulate(row.result.timing.epoch_seconds))
    return x, [100 * each.val_accuracy for each in history]
