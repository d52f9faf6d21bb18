"""One optimizer step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from normexp.engine.recorded import Batches, Recorded
from normexp.engine.schedule import Schedule, set_lr
from normexp.engine.state import TrainingState, generators
from normexp.precision import Precision


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    total_steps: int
    schedule: Schedule
    accumulate: int  # batches of an optimizer step
    label_smoothing: float
    precision: Precision


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed torch's generators, from which layers such as dropout draw."""
    # torch.manual_seed takes 0.2 ms, for devices that are not there.
    for generator in generators(device):
        generator.manual_seed(seed)


def training_step(
    state: TrainingState, batches: Batches, recipe: Recipe, graph: Recorded | None = None
) -> None:
    """Make one optimizer step on batches of images (N, 3, H, W), standardised, and labels (N,).

    `graph`, if given, launches what `descend` does.
    """
    progress = (state.step + 1) / recipe.total_steps
    set_lr(state.optimizer, recipe.schedule.lr(progress))
    if graph:
        graph(batches)
    else:
        descend(state, batches, recipe)
    with torch.no_grad():
        changes = [layer.after_step(progress) for layer in state.followers]
    if graph and any(changes):
        graph.forget()
    state.step += 1


def descend(state: TrainingState, batches: Batches, recipe: Recipe) -> None:
    """Take the gradient of the loss over `batches` and change the weights: all on the device."""
    state.optimizer.zero_grad()
    for images, labels in batches:
        with recipe.precision.autocast():
            logits = state.network(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        (loss / len(batches)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            # What is reported is the validation's measure, without label smoothing.
            plain = F.cross_entropy(logits, labels) if recipe.label_smoothing else loss.detach()
            state.totals[0] += plain * len(labels)
            state.totals[1] += (logits.argmax(1) == labels).sum()
            state.totals[2] += len(labels)
    state.optimizer.step()
