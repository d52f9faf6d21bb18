"""A training of eight steps, carried out as `normexp train` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from normexp import build
from normexp.engine.fit import Rhythm, Training, fit, heeding
from normexp.engine.result import findings
from normexp.engine.state import resume
from normexp.engine.tracking import Tracker
from normexp.models.cnn import CNN
from normexp.runs.folder import RunFolder
from normexp.runs.result import RunResult
from normexp.runs.spec import RunSpec

Compose = Callable[..., DictConfig]
Specs = Callable[..., RunSpec]

# Of 44 images 4 are held out; 40 are an epoch of four steps.
SMALL = (
    "data=generated",
    "data.source.num_train=200",
    "data.source.num_test=10",
    "model.network.widths=[8,8,8,8,8,8]",
    "data.limit=44",
    "batch_size=10",
    "epochs=2",
    "precision=fp32",
    "runtime.log_every=1",
)
BATCH_SIZE = 10
STEPS_PER_EPOCH = 4
STEPS = 8


@dataclass(frozen=True)
class Outcome:
    training: Training
    folder: RunFolder
    result: RunResult
    notes: list[str]
    """The lines on the checkpoint that the user reads."""


def carry_out(
    cfg: DictConfig,
    outputs: Path,
    stop_signal: Callable[[Training], int | None] = lambda training: None,
) -> Outcome:
    """Build everything anew, go on from the checkpoint in `outputs` if there is one, and train."""
    # The bits must not depend on what else the process has drawn.
    torch.manual_seed(torch.seed())
    spec, runtime = build.run_spec(cfg)
    folder = RunFolder(outputs / spec.name)
    training, _ = build.training(spec, runtime)
    folder.open(spec, "normexp train", None)
    kept, notes = resume(training.state, folder, training.environment)
    rhythm = Rhythm(runtime.log_every, runtime.checkpoint_seconds, folder)
    total, done = training.recipe.total_steps, training.state.step
    with Tracker(folder, spec, total, kept, done) as tracker:
        finite = fit(training, tracker, rhythm, lambda: stop_signal(training))
        with heeding(lambda: stop_signal(training), training):
            result = findings(training, finite)
        tracker.finish(result)
    return Outcome(training, folder, result, notes)


def events(folder: Path) -> EventAccumulator:
    """Every point that TensorBoard would show of a run."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


class DropoutCNN(CNN):
    """A network that draws from torch's own generator at every training step."""

    def forward(self, images: Tensor) -> Tensor:
        return F.dropout(super().forward(images), 0.5, self.training)
