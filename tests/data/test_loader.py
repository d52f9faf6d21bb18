from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from normexp.contracts import Contrast, LabelledImages
from normexp.data.contrast import ChannelGain, ContrastJitter, NoContrast
from normexp.data.loader import Augmentation, Epoch, Loader
from normexp.data.standardise import ByDataset, standardiser

HEIGHT, WIDTH = 7, 9
AS_IT_IS = ByDataset(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))


def numbered_images(number: int) -> LabelledImages:
    """Images of noise whose labels are their numbers."""
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randint(0, 256, (number, HEIGHT, WIDTH, 3), generator=generator)
    return LabelledImages(pixels.to(torch.uint8), torch.arange(number))


def make_loader(
    number: int = 60,
    batch_size: int = 8,
    seed: int = 0,
    crop: int = 2,
    flip: bool = True,
    contrast: Contrast | None = None,
) -> Loader:
    augmentation = Augmentation(crop, flip, contrast or NoContrast())
    return Loader(numbered_images(number), batch_size, seed, augmentation, AS_IT_IS)


def whole(loader: Loader, number: int) -> tuple[Tensor, Tensor]:
    """All batches of an epoch, in order: images and labels."""
    epoch = loader.epoch(number)
    batches = [epoch.batch(i) for i in range(loader.batches_per_epoch)]
    return torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])


def as_bytes(images: Tensor) -> np.ndarray:
    """Float (N, 3, H, W) in [0, 1] as uint8 (N, H, W, 3)."""
    pixels = images.permute(0, 2, 3, 1).double().numpy() * 255
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
    return pixels.round().astype(np.uint8)


def crops_of(image: np.ndarray, crop: int) -> dict[tuple[int, int, bool], np.ndarray]:
    """Every crop of an image (H, W, 3) after reflect padding, and its mirror image."""
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)), mode="reflect")
    found = {}
    for down in range(2 * crop + 1):
        for right in range(2 * crop + 1):
            cut = padded[down : down + HEIGHT, right : right + WIDTH]
            found[down, right, False] = cut
            found[down, right, True] = cut[:, ::-1]
    return found


def how_each_was_cut(loader: Loader, number: int, crop: int) -> list[tuple[int, int, bool]]:
    """(down, right, mirrored) of every image of an epoch; fails where an image is no such cut."""
    images, labels = whole(loader, number)
    originals = loader.images.images.numpy()
    cuts = []
    for served, label in zip(as_bytes(images), labels.tolist(), strict=True):
        of_this = crops_of(originals[label], crop).items()
        fitting = [key for key, cut in of_this if np.array_equal(cut, served)]
        assert len(fitting) == 1
        cuts.append(fitting[0])
    return cuts


class GeneratorDrainer:
    """A user's contrast: it draws many numbers, and leaves the images alone."""

    def draw(self, num_images: int, generator: torch.Generator) -> Tensor:
        return torch.rand(num_images, 17, generator=generator)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        return images


def test_an_epoch_is_a_function_of_the_seed_and_its_number() -> None:
    walked = make_loader(seed=5, contrast=ContrastJitter(0.2, 1.8))
    torch.manual_seed(1)
    for number in range(3):
        whole(walked, number)
    images, labels = whole(walked, 3)

    torch.manual_seed(2)
    jumped = make_loader(seed=5, contrast=ContrastJitter(0.2, 1.8)).epoch(3)
    for step in reversed(
        range(walked.batches_per_epoch)
    ):  # as after an interruption: any step first
        part = slice(8 * step, 8 * step + 8)
        again_images, again_labels = jumped.batch(step)
        assert torch.equal(again_images, images[part])
        assert torch.equal(again_labels, labels[part])


def test_the_loader_takes_nothing_from_the_global_generator() -> None:
    state = torch.get_rng_state()
    whole(make_loader(contrast=ContrastJitter(0.2, 1.8)), 0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("seed", "number"), [(0, 1), (1, 0), (1, 1), (10, 0)], ids=lambda value: str(value)
)
def test_another_seed_or_epoch_has_another_order_and_other_draws(seed: int, number: int) -> None:
    contrast = ContrastJitter(0.2, 1.8)
    first = make_loader(number=64).epoch(0)
    other = make_loader(number=64, seed=seed).epoch(number)
    assert not torch.equal(first.batch(0)[1], other.batch(0)[1])

    def cuts(of_seed: int, epoch: int) -> list[tuple[int, int, bool]]:
        return how_each_was_cut(make_loader(number=64, seed=of_seed), epoch, crop=2)

    for column in range(3):  # down, right, mirrored
        assert [c[column] for c in cuts(0, 0)] != [c[column] for c in cuts(seed, number)]

    def factors(of_seed: int, epoch: int) -> Tensor:
        return make_loader(number=64, seed=of_seed, contrast=contrast).epoch(epoch).draws

    assert not torch.equal(factors(0, 0), factors(seed, number))


@pytest.mark.parametrize(("number", "batch_size", "steps"), [(60, 8, 7), (60, 60, 1), (64, 16, 4)])
def test_each_image_comes_at_most_once_an_epoch_and_in_batches_of_one_size(
    number: int, batch_size: int, steps: int
) -> None:
    loader = make_loader(number, batch_size)
    assert loader.batches_per_epoch == steps
    for epoch_number in range(2):
        epoch = loader.epoch(epoch_number)
        sizes = {len(epoch.batch(i)[1]) for i in range(steps)}
        labels = whole(loader, epoch_number)[1].tolist()
        assert sizes == {batch_size}
        assert len(set(labels)) == len(labels) == steps * batch_size
        assert labels != sorted(labels)


def test_every_image_is_left_out_at_some_time() -> None:
    loader = make_loader(number=10, batch_size=9)
    left_out = [set(range(10)) - set(whole(loader, k)[1].tolist()) for k in range(60)]
    # Missing one of ten images in 60 epochs has the probability 10 · 0.9^60 = 2 %.
    assert set().union(*left_out) == set(range(10))


def test_crops_are_slices_of_the_reflect_padded_image_each_shift_as_often() -> None:
    num_images, crop = 400, 2
    cuts = how_each_was_cut(make_loader(num_images, flip=False), 0, crop)

    assert not any(mirrored for _, _, mirrored in cuts)
    expected = num_images / (2 * crop + 1)
    for direction in (0, 1):
        counts = np.bincount([cut[direction] for cut in cuts], minlength=2 * crop + 1)
        assert len(counts) == 2 * crop + 1
        assert (abs(counts - expected) < 5 * expected**0.5).all()
    assert len({(down, right) for down, right, _ in cuts}) == (2 * crop + 1) ** 2


def test_the_widest_crop_is_a_slice_of_the_reflect_padded_image_too() -> None:
    crop = HEIGHT - 1
    loader = make_loader(crop=crop)
    images, labels = whole(loader, 0)
    for served, label in zip(as_bytes(images), labels.tolist(), strict=True):
        cuts = crops_of(loader.images.images[label].numpy(), crop).values()
        assert any(np.array_equal(cut, served) for cut in cuts)


def test_a_flip_reverses_the_columns_of_about_half_the_images() -> None:
    num_images = 2000
    cuts = how_each_was_cut(make_loader(num_images, crop=0), 0, crop=0)
    num_mirrored = sum(mirrored for _, _, mirrored in cuts)
    assert abs(num_mirrored - num_images / 2) < 5 * (num_images / 4) ** 0.5


def test_no_kind_of_draw_tells_of_another() -> None:
    num_images = 800
    loader = make_loader(num_images, crop=1, contrast=ContrastJitter(0.2, 1.8))
    factors = loader.epoch(0).draws.flatten().tolist()
    cuts = how_each_was_cut(make_loader(num_images, crop=1), 0, crop=1)
    labels = whole(loader, 0)[1].tolist()
    down, right, mirrored = zip(*cuts, strict=True)
    correlations = np.corrcoef([factors, labels, down, right, mirrored])
    np.testing.assert_allclose(correlations, np.eye(5), atol=5 / num_images**0.5)


def test_a_seeds_later_epoch_is_no_other_seeds_earlier_one() -> None:
    one, other = make_loader(seed=1).epoch(10), make_loader(seed=11).epoch(0)
    assert not torch.equal(one.batch(0)[1], other.batch(0)[1])


def test_without_augmentation_images_come_as_they_are() -> None:
    loader = make_loader(crop=0, flip=False)
    images, labels = whole(loader, 0)
    assert np.array_equal(as_bytes(images), loader.images.images[labels].numpy())


def test_another_contrast_leaves_order_crops_and_flips_as_they_were() -> None:
    images, labels = whole(make_loader(), 2)
    same_images, same_labels = whole(make_loader(contrast=GeneratorDrainer()), 2)
    assert torch.equal(same_labels, labels)
    assert torch.equal(same_images, images)


def test_another_crop_or_flip_leaves_the_other_draws_as_they_were() -> None:
    with_both = how_each_was_cut(make_loader(crop=2, flip=True), 1, crop=2)
    only_crop = how_each_was_cut(make_loader(crop=2, flip=False), 1, crop=2)
    only_flip = how_each_was_cut(make_loader(crop=0, flip=True), 1, crop=0)

    assert [cut[:2] for cut in only_crop] == [cut[:2] for cut in with_both]
    assert [cut[2] for cut in only_flip] == [cut[2] for cut in with_both]
    orders = [
        whole(make_loader(crop=crop, flip=flip), 1)[1].tolist()
        for crop, flip in [(2, True), (2, False), (0, True)]
    ]
    assert orders[0] == orders[1] == orders[2]


def test_contrast_is_drawn_for_each_image_and_applied_after_the_crop() -> None:
    contrast = ChannelGain(0.2, 1.8)
    plain, _ = whole(make_loader(), 0)
    loader = make_loader(contrast=contrast)
    changed, _ = whole(loader, 0)

    draws = loader.epoch(0).draws[: len(plain)]
    assert len(torch.unique(draws)) == draws.numel()
    mean = plain.mean((2, 3), keepdim=True)
    expected = (mean + draws[:, :, None, None] * (plain - mean)).clamp(0, 1)
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-6)


def test_the_standardiser_measures_mean_and_deviation_of_each_channel() -> None:
    pixels = numbered_images(50).images
    pixels[..., 1] //= 3
    standardise = ByDataset.of(pixels)

    unit = pixels.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(standardise.mean.flatten(), unit.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(standardise.std.flatten(), unit.std((0, 1, 2)), rtol=1e-6)

    standard = standardise(torch.from_numpy(unit).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(standard.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std((0, 2, 3)), 1, rtol=1e-6)


def test_the_standardiser_depends_on_no_order() -> None:
    pixels = numbered_images(50).images
    one, other = ByDataset.of(pixels), ByDataset.of(pixels.flip(0))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.std, other.std)


def test_images_of_one_colour_are_standardised_to_finite_numbers() -> None:
    standardise = ByDataset.of(torch.full((4, 5, 5, 3), 77, dtype=torch.uint8))
    standard = standardise(torch.full((1, 3, 5, 5), 77 / 255))
    torch.testing.assert_close(standard, torch.zeros(1, 3, 5, 5), rtol=0, atol=1e-4)


def test_by_image_each_image_has_mean_0_and_deviation_1_in_each_channel() -> None:
    unit = torch.rand(5, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    unit *= torch.linspace(0.1, 1, 5).view(-1, 1, 1, 1)
    standard = standardiser("image", numbered_images(3).images)(unit).numpy()

    x = unit.double().numpy()
    expected = (x - x.mean((2, 3), keepdims=True)) / x.std((2, 3), keepdims=True)
    np.testing.assert_allclose(standard, expected, rtol=1e-4, atol=1e-5)


def test_by_image_contrast_and_brightness_make_no_difference() -> None:
    unit = torch.rand(5, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    standardise = standardiser("image", numbered_images(3).images)
    changed = standardise(0.3 * unit + 0.2)
    torch.testing.assert_close(changed, standardise(unit), rtol=1e-3, atol=1e-4)
    flat = standardise(torch.full((1, 3, 4, 4), 0.3))
    torch.testing.assert_close(flat, torch.zeros(1, 3, 4, 4), rtol=0, atol=1e-4)


def test_by_dataset_the_standardiser_is_measured_on_the_images_that_it_is_given() -> None:
    pixels = numbered_images(9).images
    chosen = standardiser("dataset", pixels)
    unit = torch.rand(2, 3, 5, 5)
    assert torch.equal(chosen(unit), ByDataset.of(pixels)(unit))


def test_a_way_to_standardise_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="standardise=batch: one of dataset, image is needed"):
        standardiser("batch", numbered_images(3).images)


def test_batches_are_standardised_as_measured() -> None:
    images = numbered_images(64)
    augmentation = Augmentation(0, False, NoContrast())
    loader = Loader(images, 64, 0, augmentation, ByDataset.of(images.images))
    batch, _ = loader.epoch(0).batch(0)
    np.testing.assert_allclose(batch.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(batch.std((0, 2, 3), correction=0), 1, rtol=1e-5)


def test_an_image_keeps_its_gain_in_every_epoch() -> None:
    plain = make_loader()
    gain = torch.linspace(0.1, 6, 60)
    images = replace(plain.images, gain=gain)
    loader = Loader(images, 8, 0, plain.augmentation, lambda x: 2 * x - 1)
    for number in (0, 1):
        found, labels = whole(loader, number)
        unchanged, same_labels = whole(plain, number)
        assert torch.equal(labels, same_labels)
        expected = (2 * unchanged - 1) * gain[labels][:, None, None, None]
        torch.testing.assert_close(found, expected)
        assert loader.epoch(number).batch(0)[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "contrast",
    [NoContrast(), ContrastJitter(0.2, 1.8), ChannelGain(0.2, 1.8)],
    ids=lambda contrast: type(contrast).__name__,
)
def test_batches_are_float_and_in_channels_last_memory(contrast: Contrast) -> None:
    images, labels = make_loader(contrast=contrast).epoch(0).batch(1)
    assert images.shape == (8, 3, HEIGHT, WIDTH)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


def test_a_batch_larger_than_the_training_set_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"batch_size=61 .*60 training images.*smaller.*limit"):
        make_loader(number=60, batch_size=61)


def test_a_crop_wider_than_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match=f"crop={HEIGHT}: less than .*{HEIGHT} pixels"):
        make_loader(crop=HEIGHT)


def test_the_contact_sheet_shows_the_first_batch_as_colours() -> None:
    images = numbered_images(16)
    augmentation = Augmentation(2, True, NoContrast())
    standardise = ByDataset.of(images.images)
    loader = Loader(images, 16, 0, augmentation, standardise)

    sheet = loader.contact_sheet()

    assert sheet.shape == (3, 8 * (HEIGHT + 2), 8 * (WIDTH + 2))
    assert 0 <= sheet.min() < sheet.max() <= 1
    first, _ = Epoch(Loader(images, 16, 0, augmentation, AS_IT_IS), 0).batch(0)
    torch.testing.assert_close(sheet[:, 1 : 1 + HEIGHT, 1 : 1 + WIDTH], first[0], rtol=0, atol=1e-5)
