"""Published numbers beside our runs: which points are compared, and the verdict by the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.made import made

from normexp.analysis.literature import Published, read_published, shapes, verdict_of
from normexp.analysis.rows import Run
from normexp.errors import UserError
from normexp.shipped import choices

CURVE = Published(
    name="curve",
    title="",
    source="",
    setting="",
    differs="",
    over="batch_size",
    numbers={"batch": {"2": 60.0, "8": 70.0, "32": 70.2}, "group": {"2": 66.0, "8": 66.0}},
    where={"contrast": ("none",)},
)
OURS = {("batch", 2): 0.40, ("batch", 8): 0.60, ("group", 2): 0.50, ("group", 8): 0.50}


def runs(of: Callable[[str, int], float | None], seeds: int = 6) -> list[Run]:
    """Runs whose differences are the same for each seed, but for a little noise."""
    return [
        made(round(mean + 0.01 * (seed % 3) + 0.0001 * (seed * size % 5), 5),
             norm=norm, batch_size=size, seed=seed, data__name="cifar10")
        for norm in ("batch", "group", "instance")
        for size in (2, 8, 16, 32)
        if (mean := of(norm, size)) is not None
        for seed in range(seeds)
    ]  # fmt: skip


def test_the_same_order_and_the_same_slopes_are_the_same_shape() -> None:
    (shape,) = shapes(CURVE, runs(lambda norm, size: OURS.get((norm, size))))
    # group against batch at 2 and at 8, and batch from 2 to 8; group from 2 to 8 has no slope.
    assert (shape.verdict, shape.agree, shape.differ, shape.undecided) == ("same shape", 3, 0, 0)
    assert verdict_of([shape]) == "same shape"


def test_one_point_of_the_other_sign_is_another_shape_and_is_named() -> None:
    other = {**OURS, ("group", 2): 0.30}
    (shape,) = shapes(CURVE, runs(lambda norm, size: other.get((norm, size))))
    assert (shape.verdict, shape.agree, shape.differ) == ("other", 2, 1)
    assert shape.points == ("batch − group at 2",)


def test_a_published_difference_that_is_decided_to_be_none_is_another_shape() -> None:
    level = {**OURS, ("group", 2): 0.40}
    (shape,) = shapes(CURVE, runs(lambda norm, size: level.get((norm, size))))
    assert shape.points == ("batch − group at 2",)


def test_differences_below_the_margin_have_no_sign() -> None:
    ours = {("batch", 8): 0.6, ("batch", 32): 0.3}  # 0.2 points apart in the paper
    assert shapes(CURVE, runs(lambda norm, size: ours.get((norm, size)))) == []
    (shape,) = shapes(replace(CURVE, margin=0.1), runs(lambda norm, size: ours.get((norm, size))))
    assert shape.points == ("batch: 8 − 32",)


def test_what_is_open_or_of_one_place_is_not_measured() -> None:
    (shape,) = shapes(CURVE, runs(lambda norm, size: OURS.get((norm, size)), seeds=2))
    assert (shape.verdict, shape.undecided) == ("not measured", 3)
    one_place = {key: value for key, value in OURS.items() if key[1] == 2}
    assert shapes(CURVE, runs(lambda norm, size: one_place.get((norm, size)))) == []
    assert shapes(CURVE, []) == []
    assert verdict_of([]) == "not measured"


def test_runs_of_other_settings_make_other_blocks_or_are_left_out() -> None:
    every = runs(lambda norm, size: OURS.get((norm, size)))

    def other(**changes: Any) -> list[Run]:
        return [
            made(0.5, norm=norm, batch_size=size, seed=seed, **{"data__name": "cifar10", **changes})
            for norm, size in OURS
            for seed in range(6)
        ]

    augmented = other(contrast="jitter")
    changed = [*other(accumulate=8), *other(data__gain_spread=1.0), *other(data__name="generated")]
    assert shapes(CURVE, [*every, *augmented, *changed]) == shapes(CURVE, every)
    assert len(shapes(replace(CURVE, where={}), [*every, *augmented, *changed])) == 2


def test_a_table_of_one_place_names_the_norms_alone() -> None:
    published = replace(CURVE, over="norm", numbers={"batch": {"0": 60.0}, "group": {"0": 66.0}})
    ours = runs(lambda norm, size: {"batch": 0.6, "group": 0.5}.get(norm) if size == 8 else None)
    (shape,) = shapes(published, ours)
    assert shape.points == ("batch − group",)


def test_contrast_is_compared_at_each_severity() -> None:
    falls = {str(severity): 90.0 - 10 * severity for severity in range(6)}
    published = replace(CURVE, over="severity", numbers={"batch": falls}, where={})
    ours = [
        made(0.6 + seed / 100, norm="batch", seed=seed, data__name="cifar10") for seed in range(6)
    ]
    (shape,) = shapes(published, ours)
    assert (shape.verdict, shape.agree) == ("same shape", 5)


def test_every_file_names_norms_that_there_are_and_a_source() -> None:
    found = read_published()
    assert {"group_norm", "small_net", "cifar10c_contrast", "batch_instance", "ibn", "fixup"} <= {
        each.name for each in found
    }
    for each in found:
        assert {*each.numbers} <= {*choices("norm")}, each.name
        assert all(0 < n < 100 for own in each.numbers.values() for n in own.values())
        assert "arXiv" in each.source or "github.com" in each.source, each.name


@pytest.mark.parametrize(
    "text", ["title: x", "numbers: 3", "- a", "a: [", "numbers: {batch: {2: x}}"]
)
def test_a_file_that_cannot_be_read_is_told_in_a_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml: ") as error:
        read_published(tmp_path)
    assert "\n" not in str(error.value)
