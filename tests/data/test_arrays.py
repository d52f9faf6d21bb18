"""A data source of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normexp.data.arrays import from_arrays

IMAGES = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def test_arrays_are_kept_as_they_are() -> None:
    source = from_arrays((IMAGES, [0, 1]), (IMAGES[:1], np.array([1], np.uint8)), ["cat", "dog"])
    assert np.array_equal(source.train.images.numpy(), IMAGES)
    assert source.train.labels.tolist() == [0, 1]
    assert source.test.labels.tolist() == [1]
    assert source.classes == ("cat", "dog")
    assert source.val is None


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES / 255, [0, 1], r"images float64 \(2, 4, 5, 3\): uint8 \(N, H, W, 3\) is needed"),
        (IMAGES.transpose(0, 3, 1, 2), [0, 1], r"images uint8 \(2, 3, 4, 5\): uint8"),
        (IMAGES, [0.0, 1.0], r"labels float64 \(2,\): whole numbers \(2,\) are needed"),
        (IMAGES, [0], r"labels int64 \(1,\): whole numbers \(2,\) are needed"),
        (IMAGES, [1, 2], "labels from 1 to 2: 0 to 1 .*; subtract 1"),
        (IMAGES, [1, 5], "labels from 1 to 5: 0 to 1 are needed, the positions in classes$"),
        (IMAGES, np.eye(2), r"labels float64 \(2, 2\): .*; \.argmax\(1\) .*one-hot labels$"),
        (IMAGES, [[0], [1]], r"labels int64 \(2, 1\): .*; \.ravel\(\)"),
        (IMAGES, [0.0, 1.0], r"; \.astype\(int\)"),
        (IMAGES, ["cat", "dog"], r"labels <U3 \(2,\): .*; \[classes\.index\(name\) for name"),
        (IMAGES.transpose(0, 3, 1, 2), [0, 1], r"; \.transpose\(0, 2, 3, 1\)"),
        (IMAGES / 255, [0, 1], r"; \(255 \* x\)\.round\(\)\.astype\(np\.uint8\)"),
        ([], [], "train: there is no image"),
    ],
)
def test_what_is_no_set_of_images_is_refused_with_its_shape(
    images: np.ndarray, labels: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        from_arrays((images, labels), (IMAGES, [0, 1]), ["cat", "dog"])


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (2, r"classes=2: a list of names is needed, such as \('cat', 'dog'\)"),
        ("ab", "classes='ab': a list of names is needed"),
        ((), r"classes=\(\): a list of names is needed"),
        (("cat", "cat"), "classes: cat is there twice; give each class a name of its own"),
    ],
)
def test_classes_that_are_no_names_or_not_distinct_are_refused(classes: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_arrays((IMAGES, [0, 1]), (IMAGES, [0, 1]), classes)


def test_numbers_as_classes_become_names() -> None:
    assert from_arrays((IMAGES, [0, 1]), (IMAGES, [0, 1]), range(2)).classes == ("0", "1")


def test_sets_of_different_sizes_or_without_an_image_are_refused() -> None:
    with pytest.raises(ValueError, match=r"train 4×5, test 5×4.*: scale them to one size"):
        from_arrays((IMAGES, [0, 1]), (IMAGES.reshape(2, 5, 4, 3), [0, 1]), ["cat", "dog"])
    with pytest.raises(ValueError, match="test: there is no image"):
        from_arrays((IMAGES, [0, 1]), (IMAGES[:0], []), ["cat", "dog"])


def test_arrays_are_copied_and_may_be_read_only() -> None:
    images, fixed = IMAGES.copy(), IMAGES.copy()
    fixed.flags.writeable = False
    source = from_arrays((images, [0, 1]), (fixed, [0, 1]), ["cat", "dog"])
    images[:] = 0
    assert np.array_equal(source.train.images.numpy(), IMAGES)
    assert np.array_equal(source.test.images.numpy(), IMAGES)
