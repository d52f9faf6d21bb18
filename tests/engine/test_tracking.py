"""What a run leaves for TensorBoard, read back as TensorBoard reads it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from normexp.engine.schedule import Schedule

from .small_run import (
    BATCH_SIZE,
    SMALL,
    STEPS,
    STEPS_PER_EPOCH,
    Compose,
    Outcome,
    carry_out,
    events,
)

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
    for number, row in enumerate(run.result["history"]):
        steps = range(number * STEPS_PER_EPOCH + 1, (number + 1) * STEPS_PER_EPOCH + 1)
        mean = np.mean([points[step] for step in steps])
        assert mean == pytest.approx(row[f"train_{what}"], rel=1e-5)
        assert curve(board, f"val/{what}")[row["step"]] == pytest.approx(
            row[f"val_{what}"], rel=1e-6
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
        assert points[STEPS] == pytest.approx(
            run.result["readings"][f"gate/{place}.norm"], rel=1e-6
        )
    assert len(run.result["readings"]) == len(NORM_PLACES)


def test_the_images_a_second_are_positive(board: Any) -> None:
    assert all(speed > 0 for speed in curve(board, "train/images_per_second").values())


def test_the_test_accuracy_stands_at_the_last_step_once(board: Any, run: Outcome) -> None:
    test = run.result["test"]
    assert curve(board, "test/accuracy") == pytest.approx({STEPS: test["accuracy"]})
    for severity, accuracy in test["contrast"].items():
        assert curve(board, f"test/accuracy_contrast_{severity}") == pytest.approx(
            {STEPS: accuracy}
        )


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
