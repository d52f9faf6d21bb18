from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import adjust_contrast

from normexp.contracts import Contrast
from normexp.data.contrast import ChannelGain, ContrastJitter, NoContrast

FACTORS = [0.0, 0.15, 0.4, 0.6, 1.0, 1.0001, 1.4, 1.8, 3.0, 10.0]


def images(number: int, seed: int = 0) -> torch.Tensor:
    """Float (N, 3, 6, 5) in [0, 1], each of another brightness."""
    generator = torch.Generator().manual_seed(seed)
    brightness = torch.rand(number, 3, 1, 1, generator=generator)
    return brightness * torch.rand(number, 3, 6, 5, generator=generator)


def test_jitter_is_torchvisions_adjust_contrast_of_each_image() -> None:
    before = images(len(FACTORS))

    after = ContrastJitter(0, 10)(before.clone(), torch.tensor(FACTORS).view(-1, 1))

    expected = torch.stack(
        [adjust_contrast(x, factor) for x, factor in zip(before, FACTORS, strict=True)]
    )
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    assert (expected == 0).any()  # some were cut
    assert (images(50) <= 1).all()


def test_jitter_cuts_at_white_too() -> None:
    before = 1 - images(4)
    factors = torch.full((4, 1), 6.0)

    after = ContrastJitter(0, 6)(before.clone(), factors)

    expected = torch.stack([adjust_contrast(x, 6.0) for x in before])
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    assert after.max() == 1


def test_channel_gain_stretches_each_channel_about_its_own_mean() -> None:
    before = images(20)
    factors = 3 * torch.rand(20, 3, generator=torch.Generator().manual_seed(1))

    after = ChannelGain(0, 3)(before.clone(), factors)

    x, f = before.double().numpy(), factors.double().numpy()[:, :, None, None]
    mean = x.mean(axis=(2, 3), keepdims=True)
    expected = np.clip(mean + f * (x - mean), 0, 1)
    np.testing.assert_allclose(after.numpy(), expected, rtol=0, atol=1e-6)
    assert (expected == 0).any()


@pytest.mark.parametrize("contrast", [ContrastJitter(0.6, 1.4), ChannelGain(0.6, 1.4)])
def test_draws_fill_their_range_and_nothing_else(contrast: Contrast) -> None:
    draws = contrast.draw(4000, torch.Generator().manual_seed(0))

    assert len(draws) == 4000
    for column in draws.T:
        assert 0.6 <= column.min() < 0.605
        assert 1.395 < column.max() <= 1.4
        # The mean of 4000 numbers from U[0.6, 1.4] has the standard deviation 0.8/√(12·4000).
        assert abs(column.mean() - 1.0) < 5 * 0.8 / (12 * 4000) ** 0.5


def test_channels_are_drawn_apart() -> None:
    draws = ChannelGain(0.5, 1.5).draw(4000, torch.Generator().manual_seed(0))

    correlations = np.corrcoef(draws.numpy().T)
    np.testing.assert_allclose(correlations, np.eye(3), atol=5 / 4000**0.5)


@pytest.mark.parametrize("contrast", [ContrastJitter(0.2, 1.8), ChannelGain(0.2, 1.8)])
def test_draws_come_from_the_generator_alone(contrast: Contrast) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = contrast.draw(8, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)

    torch.manual_seed(2)
    assert torch.equal(contrast.draw(8, torch.Generator().manual_seed(3)), first)
    assert not torch.equal(contrast.draw(8, torch.Generator().manual_seed(4)), first)


def test_no_contrast_leaves_images_and_generator_as_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    before = images(3)

    draws = NoContrast().draw(3, generator)
    after = NoContrast()(before.clone(), draws)

    assert torch.equal(after, before)
    assert len(draws) == 3
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("part", [ContrastJitter, ChannelGain])
@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (1.2, 0.8), (float("nan"), 1.0)])
def test_a_range_that_is_none_is_refused(
    part: type[ContrastJitter | ChannelGain], low: float, high: float
) -> None:
    with pytest.raises(ValueError, match=rf"low={low}, high={high}: .*is needed"):
        part(low, high)


def test_a_range_of_one_number_is_one() -> None:
    draws = ContrastJitter(0.7, 0.7).draw(5, torch.Generator())
    torch.testing.assert_close(draws, torch.full((5, 1), 0.7))
