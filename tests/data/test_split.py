from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from normexp.contracts import DataSource, LabelledImages
from normexp.data.split import Split, split


def numbered(number: int, first: int = 0) -> LabelledImages:
    """Images whose first pixel and label are their number."""
    numbers = torch.arange(first, first + number)
    return LabelledImages(numbers.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 2, 2, 3), numbers)


def source(num_train: int = 100, num_test: int = 50) -> DataSource:
    return DataSource(numbered(num_train), numbered(num_test, first=num_train), ("a", "b"))


def numbers(found: Split) -> list[set[int]]:
    return [set(part.labels.tolist()) for part in (found.train, found.val, found.test)]


def test_no_image_is_in_two_sets_and_none_is_lost() -> None:
    train, val, test = numbers(split(source(), limit=None, val_fraction=0.1))
    assert train | val == set(range(100))
    assert not train & val
    assert test == set(range(100, 150))


@pytest.mark.parametrize(
    ("limit", "fraction", "sizes"),
    [
        (None, 0.1, (90, 10, 50)),
        (None, 0.25, (75, 25, 50)),
        (30, 0.1, (27, 3, 30)),
        (60, 0.5, (30, 30, 50)),  # there are only 50 test images
        (100, 0.1, (90, 10, 50)),
        (1000, 0.1, (90, 10, 50)),
        (2, 0.5, (1, 1, 2)),
    ],
)
def test_sizes_are_the_limit_and_its_fraction(
    limit: int | None, fraction: float, sizes: tuple[int, int, int]
) -> None:
    found = split(source(), limit, fraction)
    assert (len(found.train), len(found.val), len(found.test)) == sizes
    assert [len(s) for s in numbers(found)] == list(sizes)


def test_images_keep_their_labels_and_the_split_its_classes() -> None:
    found = split(source(), limit=40, val_fraction=0.2)
    assert found.classes == ("a", "b")
    for part in (found.train, found.val, found.test):
        assert torch.equal(part.images[:, 0, 0, 0].long(), part.labels)


def test_every_seed_has_the_same_sets() -> None:
    torch.manual_seed(1)
    one = split(source(), limit=40, val_fraction=0.2)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    other = split(source(), limit=40, val_fraction=0.2)
    assert torch.equal(one.train.labels, other.train.labels)
    assert torch.equal(one.val.labels, other.val.labels)
    assert torch.equal(one.test.labels, other.test.labels)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_sets_are_drawn_from_all_images_not_cut_from_the_front() -> None:
    train, val, test = numbers(split(source(), limit=40, val_fraction=0.5))
    for part, first, last in [(train, 0, 99), (val, 0, 99), (test, 100, 149)]:
        middle = (first + last) / 2
        below = sum(number < middle for number in part)
        assert 0.2 * len(part) < below < 0.8 * len(part)


@pytest.mark.parametrize(
    ("limit", "fraction", "message"),
    [
        (None, 0.001, "val_fraction=0.001 of 100 training images leaves 0 for validation"),
        (4, 0.1, "val_fraction=0.1 of 4 training images leaves 0 for validation and 4"),
        (4, 0.95, "val_fraction=0.95 of 4 training images leaves 4 .* and 0 for training"),
        (1, 0.5, "of 1 training images"),
    ],
)
def test_a_split_that_leaves_a_set_empty_is_refused(
    limit: int | None, fraction: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        split(source(), limit, fraction)


def test_validation_images_of_the_sources_own_are_taken_and_none_are_held_out() -> None:
    own = replace(source(), val=numbered(20, first=200))
    train, val, test = numbers(split(own, limit=None, val_fraction=0.1))
    assert train == set(range(100))
    assert val == set(range(200, 220))
    assert test == set(range(100, 150))
    assert [len(s) for s in numbers(split(own, limit=10, val_fraction=0.1))] == [10, 10, 10]


def test_what_the_source_says_goes_with_the_split() -> None:
    for each in (source(), replace(source(), val=numbered(20))):
        said = split(replace(each, notes=("a line",)), limit=None, val_fraction=0.1)
        assert said.notes == ("a line",)
        assert said.to(torch.device("cpu")).notes == ("a line",)
