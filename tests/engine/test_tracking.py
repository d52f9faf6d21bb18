"""What a run leaves for TensorBoard, read back as TensorBoard reads it."""

from __future__ import annotations

import io
import shutil
import struct
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers.small_run import (
    BATCH_SIZE,
    SMALL,
    STEPS,
    STEPS_PER_EPOCH,
    Compose,
    Outcome,
    carry_out,
    events,
)
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor

from normexp import build
from normexp.engine.schedule import Schedule

NORM_PLACES = ("stage0.0", "stage1.0", "stage1.1", "stage2.0", "stage2.1", "stage3.0")
EVERY_STEP = list(range(1, STEPS + 1))
EVERY_EPOCH = [STEPS_PER_EPOCH, STEPS]

Curve = dict[int, float]


@pytest.fixture(scope="module")
def run(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return carry_out(compose(*SMALL, "norm=both"), tmp_path_factory.mktemp("outputs"))


@pytest.fixture(scope="module")
def board(run: Outcome) -> Any:
    return events(run.folder.path)


def curve(board: Any, tag: str) -> Curve:
    points = board.Scalars(tag)
    found = {point.step: point.value for point in points}
    assert len(found) == len(points)
    return found


def test_there_is_a_curve_for_everything_and_for_nothing_else(board: Any) -> None:
    train = {"loss", "accuracy", "lr", "gradient_norm", "images_per_second"}
    by_step = {f"train/{name}" for name in train}
    by_step |= {"val/loss", "val/accuracy"}
    by_step |= {f"gate/{place}.norm" for place in NORM_PLACES}
    at_the_end = {"test/accuracy", *(f"test/accuracy_contrast_{i}" for i in range(1, 6))}
    at_the_end |= {
        "test/loss",
        "test/gap",
        "test/mode_gap",
        "contrast/accuracy",
        "cost/seconds",
        "cost/images_per_second",
    }
    expected = by_step | {f"by_images/{tag}" for tag in by_step} | at_the_end
    assert set(board.Tags()["scalars"]) == expected


@pytest.mark.parametrize("tag", ["train/loss", "train/lr", "gate/stage1.1.norm", "val/loss"])
def test_a_curve_comes_by_step_and_by_images_seen(tag: str, board: Any) -> None:
    by_step, by_images = curve(board, tag), curve(board, f"by_images/{tag}")
    assert list(by_step) == (EVERY_EPOCH if tag.startswith("val") else EVERY_STEP)
    assert by_images == {step * BATCH_SIZE: value for step, value in by_step.items()}


@pytest.mark.parametrize("what", ["loss", "accuracy"])
def test_the_points_of_an_epoch_average_to_its_row_in_the_history(
    what: str, board: Any, run: Outcome
) -> None:
    points = curve(board, f"train/{what}")
    for number, row in enumerate(run.result.history):
        steps = range(number * STEPS_PER_EPOCH + 1, (number + 1) * STEPS_PER_EPOCH + 1)
        mean = np.mean([points[step] for step in steps])
        assert mean == pytest.approx(getattr(row, f"train_{what}"), rel=1e-5)
        assert curve(board, f"val/{what}")[row.step] == pytest.approx(
            getattr(row, f"val_{what}"), rel=1e-6
        )


def test_the_learning_rate_is_the_schedule_s(board: Any) -> None:
    schedule = Schedule.scaled(0.2, 0.1, BATCH_SIZE, 1.0)  # conf/optimizer/sgd.yaml
    expected = {step: schedule.lr(step / STEPS) for step in EVERY_STEP}
    assert curve(board, "train/lr") == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_gradient_norm_is_the_length_of_the_whole_gradient(board: Any, run: Outcome) -> None:
    gradients = [p.grad for p in run.training.state.network.parameters() if p.grad is not None]
    length = torch.cat([gradient.flatten().double() for gradient in gradients]).norm().item()
    assert curve(board, "train/gradient_norm")[STEPS] == pytest.approx(length, rel=1e-5)


def test_the_gates_curves_start_near_batch_norm_and_end_at_the_result(
    board: Any, run: Outcome
) -> None:
    for place in NORM_PLACES:
        points = curve(board, f"gate/{place}.norm")
        assert 0.9 < points[1] <= 1
        assert points[STEPS] == pytest.approx(run.result.readings[f"gate/{place}.norm"], rel=1e-6)
    assert len(run.result.readings) == len(NORM_PLACES)


def test_the_images_a_second_are_positive(board: Any) -> None:
    assert all(speed > 0 for speed in curve(board, "train/images_per_second").values())


def test_the_test_accuracy_stands_at_the_last_step_once(board: Any, run: Outcome) -> None:
    test = run.result.test
    assert test is not None
    assert curve(board, "test/accuracy") == pytest.approx({STEPS: test.accuracy})
    for severity, accuracy in test.contrast.items():
        assert curve(board, f"test/accuracy_contrast_{severity}") == pytest.approx(
            {STEPS: accuracy}
        )
    by_severity = {0: test.accuracy, **{int(s): a for s, a in test.contrast.items()}}
    assert curve(board, "contrast/accuracy") == pytest.approx(by_severity)
    gap = run.result.history[-1].train_accuracy - test.accuracy
    assert curve(board, "test/gap") == pytest.approx({STEPS: gap}, rel=1e-6, abs=1e-7)


def test_the_summary_has_the_accuracies_the_gates_and_the_tensors_of_the_norms(
    board: Any, run: Outcome
) -> None:
    (summary,) = board.Tensors("summary")
    (text,) = summary.tensor_proto.string_val
    lines = text.decode().splitlines()
    test = run.result.test
    assert test is not None
    shares = (test.accuracy, *test.contrast.values())
    row = " | ".join(f"{100 * share:.1f}" for share in shares)
    assert f"| test accuracy, % | {row} |" in lines
    network = run.training.state.network
    for place in NORM_PLACES:
        norm = network.get_submodule(f"{place}.norm")
        gate = cast(Tensor, norm.gate).detach().numpy()
        assert f"| gate/{place}.norm | {gate.mean():.3f} |" in lines
        scale = cast(Tensor, norm.weight).detach().numpy().astype(float)
        values = (scale.mean(), scale.std(), scale.min(), scale.max())
        row = " | ".join(f"{value:.3g}" for value in values)
        assert f"| {place}.norm.weight | {row} |" in lines
    assert not any("conv" in line or "linear" in line for line in lines)


def messages(board: Any) -> dict[str, HParamsPluginData]:
    """What the run says to HParams, by tag."""
    tags = board.SummaryMetadata
    return {
        tag: HParamsPluginData.FromString(tags(tag).plugin_data.content)
        for tag in board.Tags()["tensors"]
        if tag.startswith("_hparams_/")
    }


def test_hparams_have_the_factors_without_the_seed_and_the_end(board: Any, run: Outcome) -> None:
    said = messages(board)
    start = said["_hparams_/session_start_info"].session_start_info
    name, hash_of_all = run.folder.path.name.split("-s0-")
    assert start.group_name.startswith(f"{name}-")
    assert hash_of_all not in start.group_name
    factors = {key: getattr(v, v.WhichOneof("kind")) for key, v in start.hparams.items()}
    assert "seed" not in factors
    expected = {"norm": "both", "batch_size": 10, "contrast": "none", "data.flip": True}
    assert {key: factors[key] for key in expected} == expected
    assert (factors["data.limit"], factors["data.crop"]) == (44, 2)
    assert "steps" not in factors  # null: missing, so that the column has one type
    columns = said["_hparams_/experiment"].experiment.hparam_infos
    shown = [column.name for column in columns if column.differs]
    assert sorted(shown) == ["batch_size", "contrast", "model", "norm", "optimizer.lr"]
    assert {"norm", "steps"} <= {column.name for column in columns}
    metrics = said["_hparams_/experiment"].experiment.metric_infos
    assert {metric.name.tag for metric in metrics} <= set(board.Tags()["scalars"])
    assert said["_hparams_/session_end_info"].session_end_info.status == STATUS_SUCCESS


def test_seeds_share_a_cell_and_other_settings_do_not(compose: Compose) -> None:
    def cell(*overrides: str) -> str:
        return build.run_spec(compose(*SMALL, *overrides))[0].cell_name

    assert cell("seed=0") == cell("seed=1")
    others = ("norm=none", "model.poolings=2", "label_smoothing=0.1", "optimizer.lr=0.1")
    assert len({cell(), *(cell(other) for other in others)}) == 5


def test_a_run_that_diverged_counts_as_failed_and_has_no_accuracy(
    compose: Compose, tmp_path: Path
) -> None:
    cfg = compose(*SMALL, "norm=none", "optimizer.lr=1e9", "optimizer.warmup=0")
    diverged = carry_out(cfg, tmp_path)
    assert diverged.result.outcome == "diverged"
    board = events(diverged.folder.path)
    end = messages(board)["_hparams_/session_end_info"].session_end_info
    assert end.status == STATUS_FAILURE
    assert not any(tag.startswith("test/") for tag in board.Tags()["scalars"])


def test_the_contact_sheet_shows_the_first_images_as_they_are_trained_on(
    board: Any, run: Outcome
) -> None:
    assert board.Tags()["images"] == ["augmented"]
    (shown,) = board.Images("augmented")
    sheet = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
    # Eight images a row, of 32 pixels and a frame of one each.
    assert sheet.shape[1:] == (8 * 34, 3)
    images = run.training.loader.epoch(0).images(0)
    second = sheet[1:33, 35:67].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(second, images[1], atol=1 / 255 + 1e-6)


def times_written(folder: Path) -> Counter[str]:
    """How often each tag stands in the event files, every point counted."""
    files = folder.glob("events.out.tfevents.*")
    tags = (v.tag for file in files for event in load(file) for v in event.summary.value)
    return Counter(tags)


def load(file: Path) -> list[Any]:
    return list(LegacyEventFileLoader(str(file)).Load())


@pytest.mark.parametrize("bytes_more", [0, 7], ids=["between", "within"])
@pytest.mark.parametrize("last", ["test/accuracy", "summary"])
def test_a_run_killed_between_its_metrics_and_its_end_says_everything_once_when_typed_again(
    last: str, bytes_more: int, run: Outcome, compose: Compose, tmp_path: Path
) -> None:
    cfg = compose(*SMALL, "norm=both")
    folder = tmp_path / run.folder.path.name
    shutil.copytree(run.folder.path, folder)
    expected = times_written(folder)
    (file,) = folder.glob("events.out.tfevents.*")
    content = file.read_bytes()
    lengths = (12 + len(record) + 4 for record in records(content))
    ends = list(accumulate(lengths))
    number = max(i for i, record in enumerate(records(content)) if last.encode() in record)
    file.write_bytes(content[: ends[number] + bytes_more])
    outcome = carry_out(cfg, tmp_path)
    assert outcome.notes == [f"going on after step {STEPS}"]
    assert times_written(folder) == expected
    assert expected["_hparams_/session_start_info"] == expected["_hparams_/session_end_info"] == 1
    assert expected["test/accuracy"] == 1


def test_an_event_file_that_lost_its_end_is_not_lengthened(
    run: Outcome, compose: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / run.folder.path.name
    shutil.copytree(run.folder.path, folder)
    (file,) = folder.glob("events.out.tfevents.*")
    file.write_bytes(left := file.read_bytes()[:100])
    assert carry_out(compose(*SMALL, "norm=both"), tmp_path).notes == [
        f"going on after step {STEPS}"
    ]
    assert file.read_bytes() == left


def records(content: bytes) -> list[bytes]:
    """The records of an event file: 8 bytes of length, 4 of checksum, the record, 4 of checksum."""
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(content[12 : 12 + length])
        content = content[16 + length :]
    return found


def test_a_log_point_far_apart_is_the_mean_since_the_last_one(
    board: Any, run: Outcome, compose: Compose, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cfg = compose(*SMALL, "norm=both", "runtime.log_every=3")
    seldom = curve(
        events(carry_out(cfg, tmp_path_factory.mktemp("seldom")).folder.path), "train/loss"
    )
    every = curve(board, "train/loss")
    # A point at every third step and at the end of an epoch.
    assert list(seldom) == [3, 4, 6, 8]
    expected = {3: (1, 2, 3), 4: (4,), 6: (5, 6), 8: (7, 8)}
    for step, since in expected.items():
        assert seldom[step] == pytest.approx(np.mean([every[i] for i in since]), rel=1e-6)
