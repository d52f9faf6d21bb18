"""The state of a training, and its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from normexp import tensors
from normexp.contracts import FollowsSteps
from normexp.environment import differences
from normexp.errors import UserError
from normexp.runs.files import DamagedFileError, set_aside
from normexp.runs.folder import RunFolder
from normexp.runs.plain import Plain, from_plain, to_plain
from normexp.runs.result import Environment, EpochResult


@dataclass
class TrainingState:
    """Everything that a training needs to go on bit for bit as if it had not stopped."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    totals: Tensor  # sum of losses, of right answers and of images in this epoch: float64 (3,)
    logged: Tensor  # `totals` at the last point of the training curve
    step: int = 0
    history: list[EpochResult] = field(default_factory=list)  # one row an epoch
    epoch_seconds: list[float] = field(default_factory=list)  # how long each finished epoch took
    seconds: float = 0.0  # how long the current epoch has taken so far

    def __post_init__(self) -> None:
        self.followers = [m for m in self.network.modules() if isinstance(m, FollowsSteps)]

    @classmethod
    def start(
        cls, network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
    ) -> TrainingState:
        totals = torch.zeros(3, dtype=torch.float64, device=device)
        return cls(network, optimizer, totals, totals.clone())

    def save(self, folder: RunFolder, extra: Plain) -> None:
        """Write a checkpoint, with `extra` beside the state, and keep the one before."""
        if folder.checkpoint.exists():
            folder.checkpoint.replace(folder.checkpoint_before)
        tensors.save(
            folder.checkpoint,
            {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "totals": self.totals,
                "logged": self.logged,
                "step": self.step,
                "history": [to_plain(row) for row in self.history],
                "epoch_seconds": self.epoch_seconds,
                "seconds": self.seconds,
                "drawn": [each.get_state() for each in generators(self.totals.device)],
                "extra": extra,
            },
        )

    def end_epoch(self, row: EpochResult) -> None:
        """Add `row` to the history and clear what was summed over the epoch."""
        self.history.append(row)
        self.epoch_seconds.append(self.seconds)
        self.totals.zero_()
        self.logged.zero_()
        self.seconds = 0.0

    def load(self, path: Path) -> Plain:
        """Load a checkpoint and return what was saved as `extra`.

        Raises FileNotFoundError and DamagedFileError, and UserError where it is of another network.
        """
        saved = tensors.load(path, self.totals.device)
        try:
            self.network.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(
                f"{path} does not fit this network, whose code has changed since; "
                "remove the file to start the run again"
            ) from error
        for name in ("totals", "logged", "step", "epoch_seconds", "seconds"):
            setattr(self, name, saved[name])
        self.history = [from_plain(EpochResult, row) for row in saved["history"]]
        # Every step seeds them; what is measured after the last goes on from there. Checkpoints of
        # before have none, and those of another device fewer or more.
        here, drawn = generators(self.totals.device), saved.get("drawn", [])
        for generator, state in zip(here, drawn, strict=False):
            generator.set_state(state.cpu())
        extra: Plain = saved["extra"]
        return extra


def generators(device: torch.device) -> list[torch.Generator]:
    """Return torch's generators from which layers such as dropout draw."""
    if device.type != "cuda":
        return [torch.default_generator]
    index = torch.cuda.current_device() if device.index is None else device.index
    return [torch.default_generator, torch.cuda.default_generators[index]]


def resume(
    state: TrainingState, folder: RunFolder, here: Environment
) -> tuple[dict[str, int], list[str]]:
    """Load the latest whole checkpoint in `folder`, if there is one.

    Return the lengths of the event files when it was written, and lines for the user. A damaged
    checkpoint is set aside, and the run goes on from the one before, or else starts again.
    """
    notes: list[str] = []
    for checkpoint in folder.checkpoints:
        try:
            extra = state.load(checkpoint)
        except DamagedFileError as error:
            notes.append(f"{error}; it is set aside as {set_aside(checkpoint)}")
            continue
        notes.append(f"going on after step {state.step}")
        if changed := differences(from_plain(Environment, extra["environment"]), here):
            notes.append(f"in another environment, so bits may differ from one go: {changed}")
        return extra["events"], notes
    return {}, [*notes, "the run starts again"] if notes else []
