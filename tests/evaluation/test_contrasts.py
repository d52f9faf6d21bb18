from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from normexp.evaluation.contrasts import (
    Change,
    all_changes,
    channel_gain,
    contrast,
    contrast_per_image,
    corruption,
    power,
    unchanged,
)

NUM = 6


def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (NUM, 8, 8, 3), generator=generator).to(torch.uint8)


def changed(change: Change, seed: int = 0) -> tuple[np.ndarray, Tensor]:
    """Images (N, H, W, 3) in [0, 1], and the draws."""
    draws = change.draw(NUM, torch.Generator().manual_seed(seed))
    return change.apply(pixels(), draws).permute(0, 2, 3, 1).numpy(), draws


def about_mean(share: np.ndarray | float) -> np.ndarray:
    """Hendrycks and Dietterich's formula, before it is cut to uint8."""
    x = pixels().numpy() / 255.0
    mean = x.mean((1, 2), keepdims=True)
    return np.asarray(np.clip((x - mean) * share + mean, 0, 1))


def test_unchanged_images_and_shares_of_one_are_the_same_bits() -> None:
    plain = changed(unchanged())[0]
    np.testing.assert_array_equal(plain, pixels().numpy().astype(np.float32) / np.float32(255))
    ones = (contrast("curve", 1.0), contrast_per_image(1.0), channel_gain(1.0), power(1.0))
    for change in ones:
        np.testing.assert_array_equal(changed(change)[0], plain, err_msg=change.name)


@pytest.mark.parametrize("share", [0.75, 0.5, 0.4, 0.3, 0.15])
def test_the_corruption_is_the_published_one_in_uint8_and_in_float(share: float) -> None:
    in_bytes = (about_mean(share) * 255).astype(np.uint8)
    np.testing.assert_array_equal(changed(corruption(share))[0], (in_bytes / 255).astype("f4"))
    in_float = changed(contrast("corruption_float", share))[0]
    np.testing.assert_allclose(in_float, about_mean(share), atol=1e-6)


def test_contrast_above_one_is_cut_to_what_an_image_can_hold() -> None:
    found = changed(contrast("curve", 2.0))[0]
    np.testing.assert_allclose(found, about_mean(2.0), atol=1e-6)
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize("level", [0.15, 2.0])
def test_a_share_for_each_image_is_one_for_its_three_channels(level: float) -> None:
    found, draws = changed(contrast_per_image(level))
    share = draws[:, 0].numpy()
    assert len(set(share)) == NUM
    assert share.min() >= min(level, 1)
    assert share.max() <= max(level, 1)
    np.testing.assert_allclose(found, about_mean(share.reshape(-1, 1, 1, 1)), atol=1e-6)


def test_a_gain_is_one_for_each_channel_of_each_image() -> None:
    found, draws = changed(channel_gain(0.15))
    assert len(set(draws.flatten().tolist())) == 3 * NUM
    np.testing.assert_allclose(found, about_mean(draws.numpy().reshape(-1, 1, 1, 3)), atol=1e-6)


def test_gamma_is_a_power() -> None:
    np.testing.assert_allclose(changed(power(2.0))[0], (pixels().numpy() / 255.0) ** 2, atol=1e-6)


def test_every_change_is_there_once() -> None:
    found = [(c.name, c.level) for c in all_changes([0.5, 1.5], [0.2], [0.3], [0.7])]
    severities = [0.75, 0.5, 0.4, 0.3, 0.15]
    assert found == [
        ("none", 1),
        *(("corruption", share) for share in severities),
        *(("corruption_float", share) for share in severities),
        *(("curve", 0.5), ("curve", 1.5), ("curve_per_image", 0.2), ("gain", 0.3), ("gamma", 0.7)),
    ]
