"""Chance is the share of the largest class of the test images."""

from __future__ import annotations

from math import sqrt

import pytest

from normexp.runs.tested import ModeGap, TestResult


def made(confusion: list[list[int]]) -> TestResult:
    total = sum(map(sum, confusion))
    right = sum(row[i] for i, row in enumerate(confusion))
    return TestResult(
        loss=1.0,
        accuracy=right / total,
        contrast=dict.fromkeys("12345", 0.5),
        mode_gap=ModeGap(1, 0.0, 0.0),
        confusion=tuple(map(tuple, confusion)),
    )


def test_with_unequal_classes_chance_is_the_largest_and_balanced_accuracy_tells() -> None:
    found = made([[90, 0], [10, 0]])
    assert found.chance == 0.9
    assert found.balanced_accuracy == 0.5
    assert not found.has_equal_classes
    assert found.is_at_chance


def test_with_equal_classes_balanced_accuracy_is_accuracy() -> None:
    found = made([[8, 2], [4, 6]])
    assert found.chance == 0.5
    assert found.balanced_accuracy == pytest.approx(found.accuracy)
    assert found.has_equal_classes


@pytest.mark.parametrize(("above", "at_chance"), [(1.9, True), (2.1, False)])
def test_two_standard_errors_of_the_test_images_are_above_chance(
    above: float, at_chance: bool
) -> None:
    count = 10_000
    right = round(count * (0.5 + above * sqrt(0.25 / count)))
    half, rest = count // 2, right - count // 2
    found = made([[half, 0], [half - rest, rest]])
    assert found.accuracy == pytest.approx(right / count)
    assert found.is_at_chance is at_chance


def test_a_class_without_test_images_does_not_count() -> None:
    found = made([[5, 5, 0], [0, 10, 0], [0, 0, 0]])
    assert found.balanced_accuracy == 0.75
