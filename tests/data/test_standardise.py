from __future__ import annotations

import numpy as np
import pytest
import torch

from normexp.data.standardise import standardiser, to_unit


def pixels(seed: int, low: int = 0, high: int = 256) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (5, 6, 7, 3), generator=generator, dtype=torch.uint8)


def test_by_image_each_channel_of_each_image_has_mean_0_and_variance_1() -> None:
    standardise = standardiser("image", pixels(0))
    standard = standardise(to_unit(pixels(1))).double().numpy()
    np.testing.assert_allclose(standard.mean((2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std((2, 3)), 1, atol=1e-5)


def test_by_image_neither_gain_nor_shift_of_an_image_matters() -> None:
    standardise = standardiser("image", pixels(0))
    images = to_unit(pixels(1))
    torch.testing.assert_close(standardise(0.3 * images + 0.2), standardise(images))


def test_by_image_a_flat_image_becomes_zero() -> None:
    standardise = standardiser("image", pixels(0))
    flat = torch.full((1, 4, 4, 3), 77, dtype=torch.uint8)
    assert standardise(to_unit(flat)).abs().max() < 1e-3


def test_by_dataset_contrast_stays() -> None:
    standardise = standardiser("dataset", pixels(0))
    full, half = pixels(1), pixels(1) // 2
    ratio = standardise(to_unit(full)).std() / standardise(to_unit(half)).std()
    assert 1.9 < ratio < 2.1


def test_an_unknown_standardisation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.standardise=batch: one of dataset, image"):
        standardiser("batch", pixels(0))


@pytest.mark.parametrize("name", ["dataset", "image"])
def test_the_red_channel_is_multiplied_after_the_standardisation(name: str) -> None:
    images = to_unit(pixels(1))
    plain = standardiser(name, pixels(0))(images)
    scaled = standardiser(name, pixels(0), red_scale=100)(images)
    assert torch.equal(scaled[:, 0], 100 * plain[:, 0])
    assert torch.equal(scaled[:, 1:], plain[:, 1:])
