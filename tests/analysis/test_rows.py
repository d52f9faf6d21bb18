"""Runs on disk as rows, rows in cells and blocks, cells in pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made import Found, leave_lens, make_run, make_study

from normexp.analysis.measures import at_contrast, gap, steps_to
from normexp.analysis.report.blocks import blocks
from normexp.analysis.rows import accuracy, cells, pairs, rows
from normexp.errors import UserError


def test_a_row_is_what_was_asked_and_found(tmp_path: Path) -> None:
    folder = make_run(tmp_path, 0.75, norm="instance", batch_size=4, seed=2)
    (row,) = rows(tmp_path)
    assert (row.name, row.path) == (folder.path.name, folder.path)
    assert (row.seed, row.state, row.studies) == (2, "finished", ("made",))
    assert row.command == "normexp train norm=instance batch_size=4 seed=2"
    assert row.settings["norm"] == "instance"
    assert row.settings["optimizer.lr"] == 0.1
    assert row.settings["model.network.widths"] == (8, 8)
    assert accuracy(row) == pytest.approx(75)
    assert at_contrast("5")(row) == pytest.approx(37.5)
    assert gap(row) == pytest.approx(2)
    assert steps_to(50)(row) == 200  # 25, 50 and 75 % after 100, 200 and 300 steps
    assert steps_to(80)(row) is None


def test_every_state_is_a_row(tmp_path: Path) -> None:
    states: tuple[Found, ...] = (0.5, "diverged", "failed", "unfinished")
    for seed, found in enumerate(states):
        make_run(tmp_path, found, seed=seed)
    found_rows = sorted(rows(tmp_path), key=lambda row: row.seed)
    assert [row.state for row in found_rows] == ["finished", "diverged", "failed", "unfinished"]
    assert [accuracy(row) for row in found_rows] == [50, None, None, None]
    assert found_rows[2].failure == "no space is left"


def test_a_study_has_its_own_runs_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, study="small", seed=0)
    make_run(tmp_path, 0.5, study=None, seed=1)
    assert len(rows(tmp_path)) == 2
    assert [row.seed for row in rows(tmp_path, "small")] == [0]
    with pytest.raises(UserError, match=r"study=smal: no run .* did you mean small"):
        rows(tmp_path, "smal")


def test_an_empty_folder_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no run in .*; make one: normexp train"):
        rows(tmp_path)


def test_a_lens_is_read_where_there_is_one(tmp_path: Path) -> None:
    with_lens, damaged = (make_run(tmp_path, 0.5, seed=seed) for seed in (0, 1))
    make_run(tmp_path, 0.5, seed=2)
    leave_lens(with_lens, {"axis": "cost"})
    damaged.lens_file.write_text("{")
    found = sorted(rows(tmp_path), key=lambda row: row.seed)
    assert [row.lens for row in found] == [({"axis": "cost"},), None, None]


def test_cells_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_study(tmp_path, ["instance", "batch"], [128, 4, 32], 2, lambda *_: 0.5)
    by = cells(rows(tmp_path), ["batch_size", "norm"])
    assert list(by)[:3] == [(4, "batch"), (4, "instance"), (32, "batch")]
    assert {len(cell) for cell in by.values()} == {2}
    with pytest.raises(UserError, match=r"by=batchsize: .* did you mean batch_size"):
        cells(rows(tmp_path), ["batchsize"])


def test_pairs_share_their_seed(tmp_path: Path) -> None:
    of_batch: dict[int, Found] = {3: 0.3, 1: 0.1, 2: "diverged", 0: 0.6}
    for seed, found in of_batch.items():
        make_run(tmp_path, found, norm="batch", seed=seed)
    for seed, found in {1: 0.2, 2: 0.4, 3: 0.5}.items():
        make_run(tmp_path, found, norm="instance", seed=seed)
    by = cells(rows(tmp_path), ["norm"])
    first, second = pairs(by[("batch",)], by[("instance",)], accuracy)
    assert first == pytest.approx([10, 30])  # seeds 1 and 3
    assert second == pytest.approx([20, 50])


def test_two_runs_of_one_seed_in_a_cell_are_told_apart(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, lr=0.1)
    make_run(tmp_path, 0.6, lr=0.2)
    found = rows(tmp_path)
    with pytest.raises(UserError, match=r"have one seed and differ in optimizer\.lr"):
        pairs(found, found, accuracy)


# Blocks.


def test_settings_that_differ_beside_the_table_make_blocks(tmp_path: Path) -> None:
    for contrast in ("none", "jitter"):
        make_study(tmp_path, ["batch", "both"], [4, 8], 2, lambda *_: 0.5, contrast=contrast)
    found = blocks(rows(tmp_path), ["norm", "batch_size"])
    assert [block.title for block in found] == ["contrast=jitter", "contrast=none"]
    for block in found:
        assert (block.series, block.columns) == (["batch", "both"], [4, 8])
        assert {len(cell) for cell in block.cells.values()} == {2}


def test_a_setting_that_follows_from_the_cell_makes_no_block(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch"], [4], 2, lambda *_: 0.5, lr=0.1)
    make_study(tmp_path, ["batch"], [8], 2, lambda *_: 0.5, lr=0.2)
    (block,) = blocks(rows(tmp_path), ["norm", "batch_size"])
    assert (block.title, block.columns) == ("", [4, 8])


def test_any_dotted_key_makes_columns_and_one_key_makes_one(tmp_path: Path) -> None:
    for lr in (0.1, 0.4):
        make_study(tmp_path, ["batch", "both"], [4], 2, lambda *_: 0.5, lr=lr)
    (block,) = blocks(rows(tmp_path), ["norm", "optimizer.lr"])
    assert block.columns == [0.1, 0.4]
    assert block.head(0.4) == "optimizer.lr 0.4"
    first, second = blocks(rows(tmp_path), ["norm"])
    assert (first.title, second.title) == ("optimizer.lr=0.1", "optimizer.lr=0.4")
    assert first.columns == [None]


@pytest.mark.parametrize("by", [[], ["norm", "norm"], ["norm", "batch_size", "seed"]])
def test_one_or_two_settings_make_a_table(by: list[str], tmp_path: Path) -> None:
    make_run(tmp_path, 0.5)
    with pytest.raises(UserError, match="one or two settings are needed"):
        blocks(rows(tmp_path), by)


def test_many_columns_have_three_panels_from_the_first_to_the_last(tmp_path: Path) -> None:
    sizes = [1, 2, 4, 8, 16, 32, 64]
    make_study(tmp_path, ["batch"], sizes, 1, lambda *_: 0.5)
    (block,) = blocks(rows(tmp_path), ["norm", "batch_size"])
    assert block.columns == sizes
    assert block.drawn == [1, 8, 64]
    assert block.left_out == " Of 7 columns 3 are drawn."
    (few,) = blocks([row for row in rows(tmp_path) if row.settings["batch_size"] > 8], block.by)
    assert (few.drawn, few.left_out) == ([16, 32, 64], "")
