"""Run folders as a training leaves them, with results of our choice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import hydra
from hydra import initialize_config_dir

from normexp import build
from normexp.analysis.rows import Run
from normexp.runs.bits import packed
from normexp.runs.files import write_record
from normexp.runs.folder import RunFolder
from normexp.runs.record import LensRecord
from normexp.runs.result import Environment, EpochResult, RunResult, Timing
from normexp.runs.spec import RunSpec, Settings
from normexp.runs.tested import ModeGap, TestResult

Found = float | str
"""A test accuracy as a share, or `diverged`, `failed` or `unfinished`."""

EPOCHS = 3
STEPS_PER_EPOCH = 100
CLASSES = tuple("abcdefghij")
IMAGES = 1000
"""For the test, equally many of each class: chance is 10 %."""
SEVERITIES = ("1", "2", "3", "4", "5")


@cache
def shipped() -> Settings:
    """The settings of `normexp train data=generated`."""
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        spec, _ = build.run_spec(hydra.compose("train", overrides=["data=generated"]))
    return spec.settings


def spec(**changes: object) -> RunSpec:
    """A run's settings, with `changes` by key; parts are given by their names, `lr` as a number.

    A key of a group is written with `__`, such as `data__limit`.
    """
    return _spec(json.dumps(changes))


@cache
def _spec(text: str) -> RunSpec:
    base, changes = shipped(), json.loads(text)
    norm, contrast = changes.pop("norm", "batch"), changes.pop("contrast", "none")
    settings = {
        **base,
        "model": {**base["model"], "network": {"widths": [8, 8]}},
        "norm": {"name": norm, "layer": {"_target_": f"norms.{norm}", "_partial_": True}},
        "contrast": {"name": contrast, "augmentation": {"_target_": f"contrasts.{contrast}"}},
        "optimizer": {**base["optimizer"], "lr": changes.pop("lr", 0.1)},
        "batch_size": 8,
    }
    for key, value in changes.items():
        group, _, name = key.partition("__")
        settings[group] = {**settings[group], name: value} if name else value
    return RunSpec.from_settings(settings)


def make_run(
    outputs: Path, found: Found, study: str | None = "made", **changes: object
) -> RunFolder:
    """Leave the folder of a run of `spec(**changes)` that found this."""
    of = spec(**changes)
    folder = RunFolder(outputs / "runs" / of.name)
    folder.open(of, command_of(of), study)
    if found == "failed":
        folder.record_failure("no space is left")
    elif found != "unfinished":
        folder.finish(result(of, found))
    return folder


def made(found: Found, validation: float | None = None, **changes: object) -> Run:
    """A run of `spec(**changes)` that is not on disk."""
    of = spec(**changes)
    return Run(
        folder=RunFolder(Path("runs", of.name)),
        spec=of,
        state="finished" if isinstance(found, float) else found,
        result=result(of, found, validation) if found not in ("failed", "unfinished") else None,
        command=command_of(of),
    )


def command_of(of: RunSpec) -> str:
    """What makes the run, up to the settings that tests do not change."""
    return f"normexp train norm={of.norm.name} batch_size={of.batch_size} seed={of.seed}"


def leave_lens(folder: RunFolder, *rows: Mapping[str, object], **asked: object) -> None:
    """Leave what `normexp evaluate` found, by its rows, and what it was asked by axis."""
    write_record(folder.lens_file, LensRecord(asked, ENVIRONMENT, rows, {}))


def result(of: RunSpec, found: Found, validation: float | None = None) -> RunResult:
    """A result with round numbers: 100 steps an epoch, 2 seconds each.

    Accuracy on validation images rises in equal steps to `validation`, or to the test accuracy.
    """
    is_finished = isinstance(found, float)
    accuracy = found if isinstance(found, float) else 0.1
    last = accuracy if validation is None else validation
    history = [
        EpochResult(
            epoch=k,
            step=STEPS_PER_EPOCH * k,
            images=STEPS_PER_EPOCH * k * of.batch_size,
            train_loss=2.0 / k,
            train_accuracy=min(1.0, last * k / EPOCHS + 0.02),
            val_loss=2.0 / k,
            val_accuracy=last * k / EPOCHS,
        )
        for k in range(1, EPOCHS + 1)
    ]
    gates = {f"gate/stage{i}.norm": 0.5 + 0.1 * i for i in range(4)}
    return RunResult(
        outcome="finished" if is_finished else "diverged",
        test=tested(accuracy) if is_finished else None,
        steps=STEPS_PER_EPOCH * EPOCHS if is_finished else 150,
        images=STEPS_PER_EPOCH * EPOCHS * of.batch_size,
        parameters=12_345,
        classes=CLASSES,
        history=tuple(history if is_finished else history[:1]),
        readings=gates if of.norm.name == "both" and is_finished else {},
        layers={},
        timing=Timing(2.0 * EPOCHS, (2.0,) * EPOCHS, 50.0 * of.batch_size),
        environment=ENVIRONMENT,
    )


def tested(accuracy: float) -> TestResult:
    """What the test images say: a tenth of the accuracy is lost with each contrast severity."""
    by_severity: Mapping[str, float] = {
        severity: round(accuracy * (1 - 0.1 * int(severity)), 6) for severity in SEVERITIES
    }
    right = round(accuracy * IMAGES)
    by_class = [right // 10 + (i < right % 10) for i in range(10)]
    confusion = [[0] * 10 for _ in CLASSES]
    for i, count in enumerate(by_class):
        confusion[i][i] = count
        confusion[i][(i + 1) % 10] = IMAGES // 10 - count
    return TestResult(
        1.0,
        accuracy,
        by_severity,
        ModeGap(100, 0.0, 0.0),
        confusion=tuple(map(tuple, confusion)),
        correct=packed([i < right for i in range(IMAGES)]),
        fingerprint="made",
    )


ENVIRONMENT = Environment(
    normexp="0.1.0",
    python="3.11.7",
    torch="2.15.0",
    device="cpu",
    processor="a processor",
    threads=1,
    precision="fp32",
    kernels="compiled",
)


def make_study(
    outputs: Path,
    norms: Sequence[str],
    batch_sizes: Sequence[int],
    seeds: int,
    found: Callable[[str, int, int], Found],
    study: str | None = "made",
    **changes: object,
) -> None:
    """Leave a run for each norm, batch size and seed; `found` is asked for its result."""
    for norm, batch_size, seed in itertools.product(norms, batch_sizes, range(seeds)):
        answer = found(norm, batch_size, seed)
        place = {"norm": norm, "batch_size": batch_size, "seed": seed}
        make_run(outputs, answer, study, **place, **changes)
