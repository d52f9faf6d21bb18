"""A data source of arrays."""

from __future__ import annotations

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
        (IMAGES, [1, 2], "labels from 1 to 2: 0 to 1"),
    ],
)
def test_what_is_no_set_of_images_is_refused_with_its_shape(
    images: np.ndarray, labels: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        from_arrays((images, labels), (IMAGES, [0, 1]), ["cat", "dog"])
