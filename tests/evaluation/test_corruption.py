from __future__ import annotations

import numpy as np
import pytest
import torch

from normexp.evaluation.corruption import SEVERITIES, reduce_contrast

# Hendrycks and Dietterich's make_cifar_c.py, severities 1 to 5.
PUBLISHED_SHARES = [0.75, 0.5, 0.4, 0.3, 0.15]


def published(image: np.ndarray, share: float) -> np.ndarray:
    """Their contrast corruption of an image (H, W, 3), in numpy's float64."""
    x = np.array(image) / 255.0
    means = np.mean(x, axis=(0, 1), keepdims=True)
    return np.uint8(np.clip((x - means) * share + means, 0, 1) * 255)  # type: ignore[return-value]


def noise(low: int, high: int, shape: tuple[int, ...] = (32, 32, 32, 3)) -> np.ndarray:
    """Random bytes from `low` to `high`."""
    return np.random.default_rng(high).integers(low, high + 1, shape, dtype=np.uint8)


def flat() -> np.ndarray:
    """An image of each grey: the mean is the value, so truncation shows its last bit."""
    return np.arange(256, dtype=np.uint8).repeat(32 * 32 * 3).reshape(256, 32, 32, 3)


IMAGES = {
    "random": noise(0, 255),
    "dark": noise(0, 3),
    "bright": noise(252, 255),
    "faint": noise(100, 102),
    "black and white": 255 * noise(0, 1),
    "one white pixel": np.pad(
        np.full((1, 1, 1, 3), 255, np.uint8), ((0, 0), (3, 28), (9, 22), (0, 0))
    ),
    "flat": flat(),
    "one pixel": flat()[:, :1, :1],
    "of another size": noise(0, 255, (9, 7, 13, 3)),
}


def test_the_severities_are_the_published_ones() -> None:
    assert dict(SEVERITIES) == dict(enumerate(PUBLISHED_SHARES, start=1))


@pytest.mark.parametrize("share", PUBLISHED_SHARES)
@pytest.mark.parametrize("kind", IMAGES)
def test_every_byte_is_the_published_one(kind: str, share: float) -> None:
    images = IMAGES[kind]
    changed = reduce_contrast(torch.from_numpy(images), share)
    assert changed.dtype == torch.uint8
    np.testing.assert_array_equal(changed, np.stack([published(x, share) for x in images]))


def test_an_image_does_not_depend_on_its_batch_and_stays_as_it_was() -> None:
    images = torch.from_numpy(noise(0, 255))
    before = images.clone()
    together = reduce_contrast(images, 0.3)
    alone = torch.cat([reduce_contrast(x[None], 0.3) for x in images])
    assert torch.equal(together, alone)
    assert torch.equal(images, before)
