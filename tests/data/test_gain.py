from __future__ import annotations

import math

import pytest
import torch

from normexp.contracts import DataSource, LabelledImages
from normexp.data.gain import amplified, with_gains
from normexp.data.split import split


def source(num_train: int, num_test: int) -> DataSource:
    train, test = (
        LabelledImages(torch.zeros(n, 2, 2, 3, dtype=torch.uint8), torch.arange(n))
        for n in (num_train, num_test)
    )
    return DataSource(train, test, ("a", "b"))


def gains(num_train: int, num_test: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, ...]:
    found = with_gains(source(num_train, num_test), spread, seed)
    assert found.train.gain is not None
    assert found.test.gain is not None
    return found.train.gain, found.test.gain


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_gains_are_log_normal_with_mean_square_1(spread: float) -> None:
    num = 200_000
    for gain in gains(num, num, spread):
        log = gain.double().log()
        assert log.std().item() == pytest.approx(spread, rel=4 / math.sqrt(2 * num))
        # exp(2·mean + 2·spread²) is the mean square of a log-normal variable.
        assert log.mean().item() == pytest.approx(-(spread**2), abs=4 * spread / math.sqrt(num))
        standard = (log - log.mean()) / log.std()
        assert abs((standard**3).mean()) < 4 * math.sqrt(6 / num)
        assert abs((standard**4).mean() - 3) < 4 * math.sqrt(24 / num)


def test_without_a_spread_every_gain_is_1() -> None:
    assert all(gain.eq(1).all() for gain in gains(50, 20, 0))


def test_a_gain_is_a_function_of_the_seed_and_the_image() -> None:
    train, test = gains(50, 50, 1, seed=3)
    again, _ = gains(50, 20, 1, seed=3)
    other, _ = gains(50, 50, 1, seed=4)
    assert torch.equal(train, again)
    assert not torch.equal(train, other)
    assert not torch.equal(train, test)
    # More spread: the same images are the weak ones, and the strong ones.
    assert torch.equal(train.argsort(), gains(50, 20, 0.5, seed=3)[0].argsort())


def test_a_gain_stays_with_its_image_when_the_set_is_split_and_moved() -> None:
    found = with_gains(source(50, 20), 1, 0)
    parts = split(found, limit=30, val_fraction=0.2).to(torch.device("cpu"))
    for part, of in (
        (parts.train, found.train),
        (parts.val, found.train),
        (parts.test, found.test),
    ):
        assert part.gain is not None
        assert of.gain is not None
        assert torch.equal(part.gain, of.gain[part.labels])  # the label is the number here


def test_an_image_is_multiplied_by_its_gain_in_every_pixel() -> None:
    images = torch.randn(4, 3, 2, 5)
    gain = torch.tensor([0.0, 0.5, 1.0, 3.0])
    found = amplified(images, gain)
    for image, factor, changed in zip(images, gain.tolist(), found, strict=True):
        assert torch.equal(changed, factor * image)
    assert amplified(images, None) is images


def test_validation_images_of_the_sources_own_have_gains_of_their_own() -> None:
    images = LabelledImages(torch.zeros(50, 2, 2, 3, dtype=torch.uint8), torch.arange(50))
    found = with_gains(DataSource(images, images, ("a", "b"), val=images), spread=1.0, seed=0)
    assert found.val is not None
    gains = [part.gain for part in (found.train, found.val, found.test)]
    assert all(gain is not None for gain in gains)
    assert len({tuple(gain.tolist()) for gain in gains if gain is not None}) == 3
