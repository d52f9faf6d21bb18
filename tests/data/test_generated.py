from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.contracts import DataSource, LabelledImages
from normexp.data.generated import SHAPES, drawn, generated

NUM_CLASSES = 10


@pytest.fixture(scope="module")
def source() -> DataSource:
    return drawn(num_train=2000, num_test=1000, seed=0)


def spread(images: Tensor) -> Tensor:
    """The standard deviation of each image about its own mean colour (N,)."""
    return images.float().flatten(1, 2).var(dim=1, correction=0).mean(dim=-1).sqrt()


def test_the_images_are_bytes_and_the_labels_integers() -> None:
    source = drawn(num_train=40, num_test=20, seed=0)
    for part, number in ((source.train, 40), (source.test, 20)):
        assert part.images.shape == (number, 32, 32, 3)
        assert part.images.dtype == torch.uint8
        assert part.labels.shape == (number,)
        assert part.labels.dtype == torch.int64
    assert len(set(source.classes)) == NUM_CLASSES


def test_every_class_has_as_many_images_and_they_are_shuffled() -> None:
    source = drawn(num_train=510, num_test=30, seed=0)
    assert source.train.labels.bincount().tolist() == [51] * NUM_CLASSES
    assert source.test.labels.bincount().tolist() == [3] * NUM_CLASSES
    assert set(source.train.labels[:101].tolist()) == set(range(NUM_CLASSES))
    assert len(set(source.train.labels.diff().tolist())) > NUM_CLASSES  # no fixed order


def test_the_same_seed_draws_the_same_images_whatever_the_global_generator() -> None:
    torch.manual_seed(1)
    once = drawn(num_train=20, num_test=10, seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = drawn(num_train=20, num_test=10, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    for first, second in ((once.train, again.train), (once.test, again.test)):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)


def test_no_image_is_drawn_twice_by_any_seed_for_training_or_test() -> None:
    sources = [drawn(num_train=20, num_test=20, seed=seed) for seed in range(4)]
    images = torch.cat([part.images for source in sources for part in (source.train, source.test)])
    assert len({image.numpy().tobytes() for image in images}) == 4 * (20 + 20)


def test_the_test_images_do_not_depend_on_the_number_of_training_images() -> None:
    few, many = (drawn(num_train=number, num_test=10, seed=0) for number in (10, 50))
    assert torch.equal(few.test.images, many.test.images)


def test_the_contrast_varies_between_images(source: DataSource) -> None:
    faint, strong = spread(source.train.images).quantile(torch.tensor([0.1, 0.9])).tolist()
    assert strong > 3 * faint


def test_the_faintest_image_stands_out_from_the_noise(source: DataSource) -> None:
    # With noise alone the spread would be 0.02 · 255 = 5.1.
    assert spread(source.train.images).min() > 1.2 * 5.1


def test_brightness_does_not_tell_the_class(source: DataSource) -> None:
    part = source.train
    brightness = part.images.float().mean(dim=(1, 2, 3))
    by_class = torch.stack([brightness[part.labels == label] for label in range(NUM_CLASSES)])
    assert by_class.mean(dim=1).std() < 0.2 * brightness.std()


def test_a_linear_model_does_not_learn_the_classes(source: DataSource) -> None:
    def pixels(part: LabelledImages) -> Tensor:
        return F.avg_pool2d(part.images.permute(0, 3, 1, 2) / 255 - 0.5, 2).flatten(1)

    x, targets = pixels(source.train), F.one_hot(source.train.labels).float()
    for penalty in (1.0, 100.0):
        gram = x.T @ x + penalty * torch.eye(x.shape[1])
        weights = torch.linalg.solve(gram, x.T @ (targets - 0.1))
        guesses = (pixels(source.test) @ weights).argmax(dim=1)
        assert (guesses == source.test.labels).float().mean() < 0.5


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_shape_is_inside_the_radius_and_neither_empty_nor_full(
    shape: Callable[[Tensor, Tensor], Tensor],
) -> None:
    axis = torch.linspace(-2, 2, 81)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    inside = shape(x, y) < 0
    assert torch.hypot(x, y)[inside].max() < 1.4
    # Of the disc's area: from the star's and the bars' thin strokes to the disc itself.
    assert 0.2 < inside.float().mean() * 16 / torch.pi <= 1.01


def test_what_was_drawn_once_is_kept_and_without_a_place_for_it_drawn_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "cache"
    first, second = (generated(30, 10, seed=1, cache_dir=str(folder)) for _ in range(2))
    assert len(list(folder.iterdir())) == 1
    (tmp_path / "file").touch()
    nowhere = generated(30, 10, seed=1, cache_dir=str(tmp_path / "file"))
    for source in (first, second, nowhere):
        assert torch.equal(source.train.images, drawn(30, 10, seed=1).train.images)
        assert torch.equal(source.test.labels, drawn(30, 10, seed=1).test.labels)
        assert source.classes == tuple(SHAPES)


@pytest.mark.parametrize("number", [0, -10, 5, 15])
def test_a_number_that_classes_cannot_share_evenly_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"num_train={number} .* multiple of 10"):
        drawn(num_train=number, num_test=10, seed=0)
    with pytest.raises(ValueError, match=f"num_test={number} .* multiple of 10"):
        drawn(num_train=10, num_test=number, seed=0)
