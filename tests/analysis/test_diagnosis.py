"""What the lens may say of accuracies: their sign, and how many images they are of."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from normexp.analysis.lens.diagnosis import diagnosis


def said(
    running: float,
    batches: Mapping[int, float],
    precise: float | None = None,
    half: float | None = None,
    images: int = 5000,
    layers: tuple[str, ...] = (),
) -> str:
    """The diagnosis of a network that was trained in batches of 8, by accuracies in per cent."""

    def row(axis: str, change: str, statistics: str, size: int | None, accuracy: float) -> object:
        level = {"none": 1.0, "corruption": 0.5}[change]
        found = {"accuracy": accuracy / 100, "largest": 1.0, "images": images, "level": level}
        which = {"axis": axis, "change": change, "statistics": statistics, "batch_size": size}
        return {**which, **found}

    rows = [row("statistics", "none", "running", None, running)]
    rows += [row("statistics", "none", "batch", size, share) for size, share in batches.items()]
    if precise is not None:
        rows.append(row("statistics", "none", "precise", 8, precise))
    if half is not None:
        rows.append(row("contrast", "none", "running", None, running))
        rows.append(row("contrast", "corruption", "running", None, half))
    return "\n".join(diagnosis(rows, 8, layers))  # type: ignore[arg-type]


def test_the_better_batch_is_not_too_small() -> None:
    assert "too small" in said(60, {8: 50, 64: 60})
    assert "too small" not in said(60, {8: 60, 64: 50})


@pytest.mark.parametrize(("images", "is_told"), [(90, False), (5000, True)])
def test_a_difference_that_the_images_cannot_show_is_none(images: int, is_told: bool) -> None:
    # Of 90 images at 50 %, the difference of two accuracies has a standard error of 7.5 points.
    words = said(50, {8: 52, 64: 56}, 50, 47, images)
    found = ["Eval mode loses 6.0" in words, "too small" in words, "3.0 points fewer" in words]
    assert found == [is_told] * 3


@pytest.mark.parametrize("precise", [None, 60.0])
def test_without_test_batches_there_is_no_verdict(precise: float | None) -> None:
    # All test batches that were asked for are larger than the test set.
    assert said(50, {}, precise, half=50).startswith("At half the contrast")


def test_a_network_that_was_seen_with_running_statistics_only_may_have_others() -> None:
    row = {"axis": "statistics", "change": "none", "statistics": "running", "largest": 0.0}
    assert not [*diagnosis([{**row, "accuracy": 0.5, "images": 10}], 8)]


def test_statistics_that_training_did_not_have_are_not_called_so() -> None:
    assert "Eval mode loses 10.0 points (60.0 % are right in batches of 8, in training" in said(
        50, {8: 60}
    )
    words = said(50, {8: 60}, layers=("Conv2d", "FrozenBatchNorm"))
    assert "Running statistics lose 10.0 points" in words
    assert "in training" not in words


def test_more_that_are_right_at_half_the_contrast_are_not_called_fewer() -> None:
    assert "2.0 points more" in said(50, {8: 50}, half=52)


def test_the_cause_is_left_open_where_the_images_are_too_few_for_it() -> None:
    # With 1250 images the standard error is 2 points.
    assert "to tell the cause" in said(50, {8: 53}, 51.5, images=1250)
    assert "the test images differ" in said(50, {8: 53}, 50.5, images=1250)
    assert "not the weights" in said(50, {8: 53}, 52.5, images=1250)
