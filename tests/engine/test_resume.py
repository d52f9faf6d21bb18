"""The central promise: a resumed run equals an uninterrupted one, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from signal import SIGTERM

import pytest
import torch
from helpers.needs import NEED_MORE, NEED_RESIDUAL_BRANCHES
from helpers.small_run import (
    SMALL,
    STEPS,
    STEPS_PER_EPOCH,
    Compose,
    DropoutCNN,
    Outcome,
    carry_out,
    events,
)
from omegaconf import DictConfig
from torch import Tensor

from normexp import build
from normexp.engine.fit import Training
from normexp.engine.state import TrainingState, resume
from normexp.errors import Stopped
from normexp.runs.files import write_sealed
from normexp.runs.folder import RunFolder
from normexp.tensors import load

NORMS = sorted(path.stem for path in Path(build.conf_dir(), "norm").glob("*.yaml"))
NORMS = [norm for norm in NORMS if norm not in NEED_MORE]
# A batch is 10 images here: more than one part.
RESIDUAL = ("model=resnet20", "model.network.width=8")
EXTRA = {"ghost": ("norm.layer.ghost_size=4",)} | dict.fromkeys(NEED_RESIDUAL_BRANCHES, RESIDUAL)
# With state, randomness or a schedule that no other one here has. Of the others
# `test_every_norm.py` shows that their state dict has all that training leaves behind.
OWN_STATE = {"batch_frozen", "both", "instance_noisy", "renorm", "weight"}
END_OF_EPOCH, MID_EPOCH = STEPS_PER_EPOCH, STEPS_PER_EPOCH + 2

Whole = Callable[..., Outcome]


@pytest.fixture(scope="module")
def small(compose: Compose) -> Compose:
    """The settings of a small run, composed once."""

    def composed(*overrides: str) -> DictConfig:
        of_cnn = "model.network.widths" if "model=resnet20" in overrides else None
        return compose(*(s for s in SMALL if s.split("=")[0] != of_cnn), *overrides)

    return cache(composed)


@pytest.fixture(scope="module")
def whole(small: Compose, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The run of some settings without an interruption, made once."""
    return cache(lambda *overrides: carry_out(small(*overrides), tmp_path_factory.mktemp("whole")))


def stop_at(step: int) -> Callable[[Training], int | None]:
    return lambda training: SIGTERM if training.state.step == step else None


def power_fails_at(step: int) -> Callable[[Training], int | None]:
    def check(training: Training) -> None:
        if training.state.step == step:
            raise ConnectionAbortedError

    return check


def interrupted(small: Compose, outputs: Path, step: int, *overrides: str) -> Outcome:
    """The run of some settings, stopped after `step` steps and made to go on from new objects."""
    cfg = small(*overrides)
    with pytest.raises(Stopped):
        carry_out(cfg, outputs, stop_at(step))
    outcome = carry_out(cfg, outputs)
    assert outcome.notes == [f"going on after step {step}"]
    return outcome


def bits(state: TrainingState) -> dict[str, bytes]:
    """Every weight and buffer of the network and the optimizer."""
    tensors: dict[str, Tensor] = dict(state.network.state_dict())
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"{number} {name}": torch.as_tensor(value) for name, value in values.items()}
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in tensors.items()}


def assert_same(outcome: Outcome, whole: Outcome) -> None:
    expected = bits(whole.training.state)
    found = bits(outcome.training.state)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert outcome.training.state.history == whole.training.state.history
    assert replace(outcome.result, timing=whole.result.timing) == whole.result


@pytest.mark.parametrize(
    ("norm", "step"),
    [
        pytest.param(
            norm, step, marks=() if norm in OWN_STATE and step == MID_EPOCH else pytest.mark.slow
        )
        for norm in NORMS
        for step in (MID_EPOCH, END_OF_EPOCH)
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    norm: str, step: int, small: Compose, whole: Whole, tmp_path: Path
) -> None:
    overrides = (f"norm={norm}", *EXTRA.get(norm, ()))
    assert_same(interrupted(small, tmp_path, step, *overrides), whole(*overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ("precision=bf16",),
        ("optimizer=adamw",),
        ("contrast=strong",),
        ("data.gain_spread=1", "data.red_scale=10"),
        (f"model.network._target_={DropoutCNN.__module__}.DropoutCNN", "model.name=dropout"),
    ],
    ids=["bf16", "adamw", "contrast", "inputs", "dropout"],
)
def test_so_it_does_with_other_numbers_optimizers_and_randomness(
    overrides: tuple[str, ...], small: Compose, whole: Whole, tmp_path: Path
) -> None:
    outcome = interrupted(small, tmp_path, MID_EPOCH, *overrides)
    assert_same(outcome, whole(*overrides))


def test_runs_of_different_settings_differ_or_the_comparison_would_show_nothing(
    whole: Whole,
) -> None:
    one, other = whole("norm=batch"), whole("norm=none")
    assert one.training.state.history != other.training.state.history
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_a_run_may_be_stopped_after_every_step(
    small: Compose, whole: Whole, tmp_path: Path
) -> None:
    cfg = small("norm=both")
    for step in range(1, STEPS):
        with pytest.raises(Stopped):
            carry_out(cfg, tmp_path, stop_at(step))
    assert_same(carry_out(cfg, tmp_path), whole("norm=both"))


@pytest.mark.parametrize("epochs", [0, 1], ids=["the_first", "the_last"])
def test_a_run_may_be_stopped_while_it_validates(
    epochs: int, small: Compose, whole: Whole, tmp_path: Path
) -> None:
    end = STEPS_PER_EPOCH * (epochs + 1)

    def check(training: Training) -> int | None:
        is_validated = training.state.step == end and len(training.state.history) == epochs
        return SIGTERM if is_validated else None

    with pytest.raises(Stopped, match=f"after step {end}$"):
        carry_out(small(), tmp_path, check)
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    assert len(load(checkpoint)["history"]) == epochs
    outcome = carry_out(small(), tmp_path)
    assert outcome.notes == [f"going on after step {end}"]
    assert_same(outcome, whole())
    steps = [point.step for point in events(outcome.folder.path).Scalars("val/loss")]
    assert steps == [STEPS_PER_EPOCH, STEPS]


@pytest.mark.parametrize("batch", [1, 8])  # of the images as they are; of the last measurements
def test_a_run_may_be_stopped_while_test_images_are_measured(
    batch: int, small: Compose, whole: Whole, tmp_path: Path
) -> None:
    dropout = (f"model.network._target_={DropoutCNN.__module__}.DropoutCNN", "model.name=dropout")
    overrides = ("norm=batch", "data.gain_spread=1", "data.red_scale=10", *dropout)
    asked: list[int] = []

    def check(training: Training) -> int | None:
        asked.extend([1] * (len(training.state.history) == STEPS // STEPS_PER_EPOCH))
        return SIGTERM if len(asked) > batch else None

    with pytest.raises(Stopped, match=f"after step {STEPS}$"):
        carry_out(small(*overrides), tmp_path, check)
    assert_same(carry_out(small(*overrides), tmp_path), whole(*overrides))


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    small: Compose, whole: Whole, tmp_path: Path
) -> None:
    cfg = small()
    with pytest.raises(ConnectionAbortedError):
        carry_out(cfg, tmp_path, power_fails_at(MID_EPOCH))
    outcome = carry_out(cfg, tmp_path)
    assert outcome.notes == [f"going on after step {END_OF_EPOCH}"]
    assert_same(outcome, whole())


def test_the_curves_of_a_killed_and_resumed_run_have_every_step_once(
    small: Compose, whole: Whole, tmp_path: Path
) -> None:
    cfg = small()
    with pytest.raises(ConnectionAbortedError):
        carry_out(cfg, tmp_path, power_fails_at(MID_EPOCH))
    with pytest.raises(Stopped):
        carry_out(cfg, tmp_path, stop_at(MID_EPOCH))
    outcome = carry_out(cfg, tmp_path)
    found, expected = (events(run.folder.path) for run in (outcome, whole()))
    steps = [point.step for point in found.Scalars("train/loss")]
    assert steps == list(range(1, STEPS + 1))
    tags = expected.Tags()
    assert found.Tags() == tags
    assert len(found.Images("augmented")) == 1
    for tag in set(tags["scalars"]) - {
        "train/images_per_second",
        "by_images/train/images_per_second",
        "cost/seconds",
        "cost/images_per_second",
    }:
        points = [
            [(point.step, point.value) for point in of.Scalars(tag)] for of in (found, expected)
        ]
        assert points[0] == points[1], tag


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [flip_a_bit, lambda content: content[:-1], lambda content: b""],
    ids=["one_bit", "cut_short", "empty"],
)
@pytest.mark.parametrize(
    ("names", "then"),
    [
        (("checkpoint.pt",), f"going on after step {END_OF_EPOCH}"),
        (("checkpoint.pt", "checkpoint.before.pt"), "the run starts again"),
    ],
    ids=["the_latest", "both"],
)
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before_and_the_run_ends_the_same(
    names: tuple[str, ...],
    then: str,
    damage: Callable[[bytes], bytes],
    small: Compose,
    whole: Whole,
    tmp_path: Path,
) -> None:
    cfg = small()
    with pytest.raises(Stopped) as stopped:
        carry_out(cfg, tmp_path, stop_at(MID_EPOCH))
    assert str(stopped.value) == f"stopped after step {MID_EPOCH}"
    (folder,) = tmp_path.iterdir()
    damaged = {folder / name: damage((folder / name).read_bytes()) for name in names}
    for checkpoint, content in damaged.items():
        checkpoint.write_bytes(content)
    outcome = carry_out(cfg, tmp_path)
    *lines, last = outcome.notes
    for line, (checkpoint, content) in zip(lines, damaged.items(), strict=True):
        aside = checkpoint.with_name(f"{checkpoint.name}.damaged")
        assert aside.read_bytes() == content
        assert str(checkpoint) in line
        assert str(aside) in line
    assert last == then
    assert_same(outcome, whole())
    steps = [point.step for point in events(outcome.folder.path).Scalars("train/loss")]
    assert steps == list(range(1, STEPS + 1))


def test_a_run_killed_as_it_writes_a_checkpoint_goes_on_from_the_one_before(
    small: Compose, whole: Whole, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        carry_out(small(), tmp_path, stop_at(MID_EPOCH))
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    checkpoint.rename(checkpoint.with_name(".checkpoint.pt.1.tmp"))
    outcome = carry_out(small(), tmp_path)
    assert outcome.notes == [f"going on after step {END_OF_EPOCH}"]
    assert_same(outcome, whole())


def test_a_checkpoint_that_holds_something_else_counts_as_damaged(
    small: Compose, tmp_path: Path
) -> None:
    cfg = small()
    with pytest.raises(Stopped):
        carry_out(cfg, tmp_path, stop_at(1))
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    write_sealed(checkpoint, b"no tensors")
    outcome = carry_out(cfg, tmp_path)
    assert "something else than tensors" in outcome.notes[0]
    assert outcome.training.state.step == STEPS


def test_a_resume_under_other_conditions_says_so(small: Compose, tmp_path: Path) -> None:
    cfg = small()
    with pytest.raises(Stopped):
        carry_out(cfg, tmp_path, stop_at(1))
    spec, runtime = build.run_spec(cfg)
    training, _ = build.training(spec, runtime)
    (folder,) = (checkpoint.parent for checkpoint in tmp_path.glob("*/checkpoint.pt"))
    there = replace(training.environment, threads=64, torch="1.0")
    _, notes = resume(training.state, RunFolder(folder), there)
    assert len(notes) == 2
    for change in ("threads 1 → 64", f"torch {torch.__version__} → 1.0"):
        assert change in notes[1]
