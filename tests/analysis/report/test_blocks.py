"""Which runs of a report stand in one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.made import made, make_run, make_study
from helpers.rows import runs

from normexp.analysis.report.accuracy import axis_of, contrast_section
from normexp.analysis.report.blocks import blocks, factors_of
from normexp.analysis.report.classes import classes_section
from normexp.errors import UserError


def test_settings_that_differ_beside_the_table_make_blocks(tmp_path: Path) -> None:
    for contrast in ("none", "jitter"):
        make_study(tmp_path, ["batch", "both"], [4, 8], 2, lambda *_: 0.5, contrast=contrast)
    found = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert [block.title for block in found] == ["contrast=jitter", "contrast=none"]
    for block in found:
        assert (block.series, block.columns) == (["batch", "both"], [4, 8])
        assert {len(cell) for cell in block.cells.values()} == {2}


def test_a_setting_that_follows_from_the_cell_makes_no_block(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch"], [4], 2, lambda *_: 0.5, lr=0.1)
    make_study(tmp_path, ["batch"], [8], 2, lambda *_: 0.5, lr=0.2)
    (block,) = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert (block.title, block.columns) == ("", [4, 8])


def test_any_dotted_key_makes_columns_and_one_key_makes_one(tmp_path: Path) -> None:
    for lr in (0.1, 0.4):
        make_study(tmp_path, ["batch", "both"], [4], 2, lambda *_: 0.5, lr=lr)
    (block,) = blocks(runs(tmp_path), ["norm", "optimizer.lr"])
    assert block.columns == [0.1, 0.4]
    assert block.head(0.4) == "optimizer.lr 0.4"
    first, second = blocks(runs(tmp_path), ["norm"])
    assert (first.title, second.title) == ("optimizer.lr=0.1", "optimizer.lr=0.4")
    assert first.columns == [None]


def test_a_column_of_null_has_a_title_too(tmp_path: Path) -> None:
    for steps in (None, 100):
        make_study(tmp_path, ["batch"], [4], 1, lambda *_: 0.5, steps=steps)
    (block,) = blocks(runs(tmp_path), ["norm", "steps"])
    assert [*map(block.panel, block.columns)] == ["steps null", "steps 100"]
    assert not axis_of(block).joined  # null has no place among numbers
    over_sizes, _ = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert axis_of(over_sizes).joined


def test_a_cell_without_runs_has_no_row_by_contrast(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch"], [4, 8], 2, lambda *_: 0.5)
    make_study(tmp_path, ["renorm"], [4], 2, lambda *_: 0.5)
    (block,) = blocks(runs(tmp_path), ["norm", "batch_size"])
    (table,) = contrast_section(block, 0.95, "").tables
    named = [row[0] for row in table.rows]
    assert named == ["batch, batch size 4", "batch, batch size 8", "renorm, batch size 4"]


@pytest.mark.parametrize("by", [[], ["norm", "norm"], ["norm", "batch_size", "seed"]])
def test_one_or_two_settings_make_a_table(by: list[str], tmp_path: Path) -> None:
    make_run(tmp_path, 0.5)
    with pytest.raises(UserError, match="one or two settings are needed"):
        blocks(runs(tmp_path), by)


def test_many_columns_have_four_panels_from_the_first_to_the_last(tmp_path: Path) -> None:
    sizes = [1, 2, 4, 8, 16, 32, 64]
    make_study(tmp_path, ["batch"], sizes, 1, lambda *_: 0.5)
    (block,) = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert block.columns == sizes
    assert block.drawn == [1, 4, 16, 64]
    assert "7 columns" in block.left_out
    (few,) = blocks([run for run in runs(tmp_path) if run.spec.batch_size > 4], block.by)
    assert (few.drawn, few.left_out) == ([8, 16, 32, 64], "")


def test_runs_of_other_data_sets_share_no_table(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch"], [4], 2, lambda *_: 0.5)
    make_study(tmp_path, ["batch"], [8], 2, lambda *_: 0.5, data__name="images")
    found = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert [block.title for block in found] == ["data=generated", "data=images"]
    (block,) = blocks(runs(tmp_path), ["norm", "data"])
    assert block.columns == ["generated", "images"]


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("data__source", {"content": "1a"}, {"content": "2b"}),  # images of two folders
        ("norm__layer", {"_target_": "mynorms.A"}, {"_target_": "mynorms.B"}),  # of one module
    ],
)
def test_other_images_and_other_norms_of_one_name_share_no_cell(
    key: str, one: object, other: object
) -> None:
    changes: list[dict[str, Any]] = [{key: one}, {key: other}]
    rows = [made(0.5, **changes[0]), made(0.9, **changes[1])]
    assert [len(block.runs) for block in blocks(rows, ["norm", "batch_size"])] == [1, 1]


def test_runs_of_other_numerics_are_not_compared() -> None:
    rows = [made(0.5, norm="batch"), made(0.9, norm="group")]
    rows[1] = replace(rows[1], spec=replace(rows[1].spec, numerics=1))
    titles = [block.title for block in blocks(rows, ["norm", "batch_size"])]
    assert titles == ["numerics=1", f"numerics={rows[0].spec.numerics}"]


def test_runs_with_other_classes_have_no_table_of_classes() -> None:
    one, other = made(0.5, batch_size=4), made(0.5, batch_size=8)
    assert other.result
    classes = tuple(map(str.upper, other.result.classes))
    renamed = replace(other, result=replace(other.result, classes=classes))
    (same,), (differing,) = (
        blocks([one, each], ["norm", "batch_size"]) for each in (other, renamed)
    )
    assert classes_section(same, "") is not None
    assert classes_section(differing, "") is None


def test_series_of_another_budget_or_network_share_no_table(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "instance"], [8, 32], 1, lambda *_: 0.5, epochs=5)
    make_study(tmp_path, ["custom"], [32], 1, lambda *_: 0.5, epochs=3)
    make_study(tmp_path, ["instance"], [16], 1, lambda *_: 0.5, epochs=5, model__name="custom")
    found = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert {block.title: (block.series, block.columns) for block in found} == {
        "model=cnn epochs=3": (["custom"], [32]),
        "model=cnn epochs=5": (["batch", "instance"], [8, 32]),
        "model=custom epochs=5": (["instance"], [16]),
    }


def test_what_is_compared_may_differ_in_it_and_a_budget_may_follow_from_the_column(
    tmp_path: Path,
) -> None:
    for size, epochs in ((8, 2), (32, 8)):
        make_study(tmp_path, ["batch", "both"], [size], 1, lambda *_: 0.5, epochs=epochs)
    (block,) = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert (block.title, block.columns) == ("", [8, 32])
    make_study(tmp_path, ["batch", "both"], [8], 1, lambda *_: 0.5, model__name="other", epochs=2)
    of_size = [run for run in runs(tmp_path) if run.spec.batch_size == 8]
    (block,) = blocks(of_size, ["model", "norm"])
    assert block.series == ["cnn", "other"]


def test_factors_are_what_differs_and_does_not_follow(tmp_path: Path) -> None:
    for norm, lr in (("batch", 0.1), ("instance", 0.4)):
        make_run(tmp_path, 0.5, norm=norm, lr=lr)
    assert factors_of(runs(tmp_path)) == ["norm"]  # each has its own rate
    make_run(tmp_path, 0.5, norm="batch", lr=0.4)
    assert factors_of(runs(tmp_path)) == ["norm", "optimizer.lr"]
