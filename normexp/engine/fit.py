"""The training loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, isfinite

import torch
from torch import Tensor, nn

from normexp.contracts import HasReadings
from normexp.data.loader import Loader
from normexp.data.split import Split
from normexp.engine.recorded import recorded
from normexp.engine.state import TrainingState
from normexp.engine.step import Recipe, descend, seed_layers, training_step
from normexp.engine.tracking import Tracker
from normexp.errors import Stopped
from normexp.evaluation.accuracy import Evaluator
from normexp.runs.folder import RunFolder
from normexp.runs.plain import to_plain
from normexp.runs.result import Environment, EpochResult

CHECK_STEPS = 20
"""Between two looks whether the loss is finite, and at each epoch's end: part of a diverged run's
result, so not those of `runtime.log_every`."""


@dataclass(frozen=True)
class Training:
    """A network with its data, recipe, evaluator and state."""

    state: TrainingState
    data: Split
    loader: Loader
    recipe: Recipe
    evaluator: Evaluator
    environment: Environment
    feature_spread: float | None  # at the start, see `evaluation/features.py`

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the batches that do not fill a step are left out."""
        return self.loader.batches_per_epoch // self.recipe.accumulate

    @property
    def images_per_step(self) -> int:
        return self.loader.batch_size * self.recipe.accumulate

    @property
    def awaits_validation(self) -> bool:
        """Whether a signal stopped the validation of an epoch whose steps are done."""
        step = self.state.step
        at_end = step == self.recipe.total_steps or step % self.steps_per_epoch == 0
        return at_end and self.state.totals[2].item() > 0

    def batches(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """Return the batches of an optimizer step of the training, counted from 0."""
        number, within = divmod(step, self.steps_per_epoch)
        epoch, count = self.loader.epoch(number), self.recipe.accumulate
        return [epoch.batch(i) for i in range(within * count, (within + 1) * count)]

    def summary(self) -> str:
        data, here, each = self.data, self.environment, self.images_per_step
        left_out = len(data.train) - self.steps_per_epoch * each
        # Less than a batch says the batch size.
        of_epoch = f", without {left_out} images of each epoch" * (
            left_out >= self.loader.batch_size
        )
        return (
            f"{len(data.train)} training, {len(data.val)} validation, {len(data.test)} test "
            f"images; {sum(p.numel() for p in self.state.network.parameters()):,} parameters; "
            f"{self.recipe.total_steps} steps of {each}{of_epoch}; "
            f"{here.precision} on {here.device}, {here.threads} threads"
        )


@dataclass(frozen=True)
class Rhythm:
    """How often a training logs and saves; none of it changes the result."""

    log_every: int  # steps between two points of a training curve
    checkpoint_seconds: float
    folder: RunFolder  # where checkpoints go


def fit(
    training: Training, tracker: Tracker, rhythm: Rhythm, stop_signal: Callable[[], int | None]
) -> bool:
    """Train to the end of the budget; return False if the loss became infinite or not a number.

    Raises Stopped, with a checkpoint written, once `stop_signal()` returns a signal's number.
    """
    state, loader, recipe = training.state, training.loader, training.recipe

    def save() -> None:
        environment = to_plain(training.environment)
        state.save(rhythm.folder, {"environment": environment, "events": tracker.positions()})

    def validate() -> bool:
        try:
            with heeding(stop_signal, training):
                return end_epoch(training, tracker)
        except Stopped:
            save()
            raise

    if state.step == 0:
        tracker.begin(loader.contact_sheet())
    if training.awaits_validation:
        if not validate():
            return False
        save()
    graph = recorded(lambda batches: descend(state, batches, recipe), state, tracker.note)
    saved_at = time.monotonic()
    while state.step < recipe.total_steps:
        epoch_end = (state.step // training.steps_per_epoch + 1) * training.steps_per_epoch
        epoch_end = min(epoch_end, recipe.total_steps)
        began = time.monotonic() - state.seconds
        while state.step < epoch_end:
            seed_layers(loader.seed * 1_000_003 + state.step, state.totals.device)
            training_step(state, training.batches(state.step), recipe, graph)
            at_end = state.step == epoch_end
            is_point = at_end or state.step % rhythm.log_every == 0
            if is_point and state.totals.is_cuda:
                torch.cuda.synchronize()  # or the time of what is queued would be left out
            state.seconds = time.monotonic() - began
            if is_point:
                log_point(training, tracker)
            is_look = at_end or state.step % CHECK_STEPS == 0
            if is_look and not isfinite(state.totals[0].item()):
                return False
            if at_end and not validate():
                return False
            signal_number = stop_signal()
            if at_end or signal_number or time.monotonic() - saved_at > rhythm.checkpoint_seconds:
                save()
                saved_at = time.monotonic()
            if signal_number:
                raise stopped(signal_number, training)
    return True


def stopped(signal_number: int, training: Training) -> Stopped:
    return Stopped(signal_number, f"stopped after step {training.state.step}")


@contextmanager
def heeding(stop_signal: Callable[[], int | None], training: Training) -> Iterator[None]:
    """Within it, the network raises Stopped before a batch once there is a signal.

    For measurements: they write no checkpoint, so that of the last step has to be there.
    """

    def check(*_: object) -> None:
        if signal_number := stop_signal():
            raise stopped(signal_number, training)

    hook = training.state.network.register_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


def log_point(training: Training, tracker: Tracker) -> None:
    """Add a point to the training curves."""
    state = training.state
    gradients = [p.grad for p in state.network.parameters() if p.grad is not None]
    speaking = readings(state.network)
    numbers = [torch.nn.utils.get_total_norm(gradients), *speaking.values()]
    found = [state.totals - state.logged, state.totals[2:], *(n.to(state.totals) for n in numbers)]
    # At once, as a GPU is waited for each time.
    loss, right, count, images, norm, *of_layers = torch.hstack(found).tolist()
    state.logged = state.totals.clone()
    values = {
        "train/loss": loss / count,
        "train/accuracy": right / count,
        "train/lr": training.recipe.schedule.lr(state.step / training.recipe.total_steps),
        "train/gradient_norm": norm,
        "train/images_per_second": images / state.seconds,
        **dict(zip(speaking, of_layers, strict=True)),
    }
    tracker.curves(values, state.step, state.step * training.images_per_step)
    epoch = ceil(state.step / training.steps_per_epoch)
    epochs = ceil(training.recipe.total_steps / training.steps_per_epoch)
    shown = values["train/loss"], values["train/images_per_second"]
    tracker.progress.show(state.step, (epoch, epochs), *shown)


def readings(network: nn.Module) -> dict[str, Tensor]:
    """Return the scalars that layers speak of, such as `gate/stage0.0.norm`."""
    speaking = [(n, m) for n, m in network.named_modules() if isinstance(m, HasReadings)]
    return {f"{what}/{n}": r for n, m in speaking for what, r in m.readings().items()}


def end_epoch(training: Training, tracker: Tracker) -> bool:
    """Validate, add a row to the history, and clear what was summed over the epoch.

    Returns False if the validation loss is not finite, as after a last step that was too large.
    """
    state = training.state
    val = training.evaluator.score(state.network, training.data.val)
    loss, right, count = state.totals.tolist()
    row = EpochResult(
        epoch=len(state.history) + 1,
        step=state.step,
        images=state.step * training.images_per_step,
        train_loss=loss / count,
        train_accuracy=right / count,
        val_loss=val.loss,
        val_accuracy=val.accuracy,
    )
    tracker.end_epoch(row, count / state.seconds)
    if isfinite(val.loss):
        state.end_epoch(row)
    return isfinite(val.loss)
