"""What a run found, as numbers: functions of a run, None where it has no such number.

Accuracies are in percent; the training's is over its last epoch, validation's after it.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from statistics import fmean

from normexp.analysis.rows import Run, cells
from normexp.runs.result import EpochResult

Measure = Callable[[Run], float | None]


def accuracy(run: Run) -> float | None:
    return 100 * run.result.test.accuracy if run.result and run.result.test else None


def balanced_accuracy(run: Run) -> float | None:
    return 100 * run.result.test.balanced_accuracy if run.result and run.result.test else None


def at_contrast(severity: str) -> Measure:
    """Return the measure of test accuracy in percent at a contrast severity; "0" is unchanged."""
    if severity == "0":
        return accuracy

    def measure(run: Run) -> float | None:
        test = run.result.test if run.result else None
        return 100 * test.contrast[severity] if test else None

    return measure


def train_accuracy(run: Run) -> float | None:
    """Return the accuracy over the last epoch of training in percent, with augmentation."""
    last = _last_epoch(run)
    return 100 * last.train_accuracy if last else None


def validation_accuracy(run: Run) -> float | None:
    last = _last_epoch(run)
    return 100 * last.val_accuracy if last else None


def at_best(runs: Sequence[Run], key: str) -> list[Run]:
    """Return the runs at the value of a setting that has the best mean validation accuracy.

    A run that diverged has 0. Values are compared on the seeds that ended at each, if any did.
    """
    by_value = [*cells(runs, [key]).values()]
    common = set.intersection(*({run.seed for run in own if run.result} for own in by_value))

    def mean(own: Sequence[Run]) -> float:
        counted = [run for run in own if run.result and (run.seed in common or not common)]
        return fmean(validation_accuracy(run) or 0.0 for run in counted) if counted else -1.0

    return max(by_value, key=mean)


def gap(run: Run) -> float | None:
    train, test = train_accuracy(run), accuracy(run)
    return None if train is None or test is None else train - test


def seconds(run: Run) -> float | None:
    return run.result.timing.seconds if run.result and run.result.test else None


def speed(run: Run) -> float | None:
    return run.result.timing.images_per_second if run.result and run.result.test else None


def parameters(run: Run) -> float | None:
    return float(run.result.parameters) if run.result else None


def reading(name: str) -> Measure:
    """Return the measure of a number that a layer speaks of, such as `gate/stage0.0.norm`."""
    return lambda run: run.result.readings.get(name) if run.result else None


def steps_to(percent: float) -> Measure:
    """Return the measure of steps to a validation accuracy, by ends of epochs; None: never."""

    def measure(run: Run) -> float | None:
        history = run.result.history if run.result else ()
        steps = (each.step for each in history if 100 * each.val_accuracy >= percent)
        return next((float(step) for step in steps), None)

    return measure


def curve(run: Run, over: str) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return validation accuracy in percent by `images` or `seconds`; None if not finished."""
    if run.result is None or run.result.test is None:
        return None
    history = run.result.history
    if over == "images":
        x = [float(each.images) for each in history]
    else:
        x = list(accumulate(run.result.timing.epoch_seconds))
    return x[: len(history)], [100 * each.val_accuracy for each in history[: len(x)]]


def _last_epoch(run: Run) -> EpochResult | None:
    return run.result.last_epoch if run.result else None
