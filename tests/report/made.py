"""Run folders as a training leaves them, with results of our choice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from normexp.runs.outcome import record_failure
from omegaconf import OmegaConf

from normexp import build
from normexp.runs.folder import RunFolder
from normexp.runs.spec import FIELDS, RunSpec

State = str
Found = float | State
"""A test accuracy as a share, or `diverged`, `failed` or `unfinished`."""

EPOCHS = 3


@cache
def shipped() -> dict[str, Any]:
    """The settings of `normexp train data=generated`."""
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        cfg = hydra.compose("train", overrides=["data=generated"])
    found: Any = OmegaConf.to_container(cfg, resolve=True)
    return {key: value for key, value in found.items() if key in FIELDS}


def settings(**changes: Any) -> dict[str, Any]:
    """Settings of a run, with `changes` by key; a norm or contrast is given by its name."""
    base = shipped()
    norm, contrast = changes.pop("norm", "batch"), changes.pop("contrast", "none")
    return {
        **base,
        "model": {**base["model"], "network": {"widths": [8, 8]}},
        "norm": {"name": norm, "layer": {"_target_": f"norms.{norm}", "_partial_": True}},
        "contrast": {"name": contrast, "augmentation": {"_target_": f"contrasts.{contrast}"}},
        "optimizer": {**base["optimizer"], "lr": changes.pop("lr", 0.1)},
        "batch_size": 8,
        **changes,
    }


def make_run(outputs: Path, found: Found, study: str | None = "made", **changes: Any) -> RunFolder:
    """Leave the folder of a run with `settings(**changes)` that found this."""
    spec = RunSpec.from_settings(settings(**changes))
    folder = RunFolder(outputs / "runs" / spec.name)
    norm = spec.settings["norm"]["name"]
    command = f"normexp train norm={norm} batch_size={spec.batch_size} seed={spec.seed}"
    folder.open(spec, command)
    folder.join_study(study)
    if found == "failed":
        record_failure(folder, "no space is left")
    elif found != "unfinished":
        folder.finish(result(spec, found))
    return folder


def result(spec: RunSpec, found: Found) -> Mapping[str, Any]:
    """A `result.json` with round numbers: 100 steps an epoch, 2 seconds each."""
    accuracy = found if isinstance(found, float) else 0.1
    history = [
        {
            "epoch": k,
            "step": 100 * k,
            "images": 100 * k * spec.batch_size,
            "train_loss": 2.0 / k,
            "train_accuracy": min(1.0, accuracy * k / EPOCHS + 0.02),
            "val_loss": 2.0 / k,
            "val_accuracy": accuracy * k / EPOCHS,
        }
        for k in range(1, EPOCHS + 1)
    ]
    finished = isinstance(found, float)
    contrast = {str(s): round(accuracy * (1 - 0.1 * s), 6) for s in range(1, 6)}
    gates = {f"gate/stage{i}.norm": 0.5 + 0.1 * i for i in range(4)}
    return {
        "name": spec.name,
        "outcome": "finished" if finished else "diverged",
        "test": {"loss": 1.0, "accuracy": accuracy, "contrast": contrast} if finished else None,
        "steps": 100 * EPOCHS if finished else 150,
        "images": 100 * EPOCHS * spec.batch_size,
        "parameters": 12_345,
        "classes": ["cat", "dog"],
        "history": history if finished else history[:1],
        "readings": gates if spec.settings["norm"]["name"] == "both" and finished else {},
        "timing": {
            "seconds": 2.0 * EPOCHS,
            "epoch_seconds": [2.0] * EPOCHS,
            "images_per_second": 50.0 * spec.batch_size,
        },
        "environment": {
            "normexp": "0.1.0",
            "python": "3.11.7",
            "torch": "2.15.0",
            "device": "cpu",
            "processor": "a processor",
            "threads": 1,
            "precision": "fp32",
        },
    }


def make_study(
    outputs: Path,
    norms: Sequence[str],
    batch_sizes: Sequence[int],
    seeds: int,
    found: Callable[[str, int, int], Found],
    **changes: Any,
) -> None:
    """Leave a run for each norm, batch size and seed; `found` is asked for its result."""
    for norm, batch_size, seed in itertools.product(norms, batch_sizes, range(seeds)):
        answer = found(norm, batch_size, seed)
        make_run(outputs, answer, norm=norm, batch_size=batch_size, seed=seed, **changes)
