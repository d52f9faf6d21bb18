"""Runs on disk as rows, and rows in cells."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made import Found, leave_lens, make_run, make_study
from helpers.rows import runs

from normexp.analysis.measures import accuracy, at_contrast, gap, steps_to
from normexp.analysis.rows import cells
from normexp.errors import UserError


def test_a_run_is_what_was_asked_and_found(tmp_path: Path) -> None:
    folder = make_run(tmp_path, 0.75, norm="instance", batch_size=4, seed=2)
    (run,) = runs(tmp_path)
    assert (run.name, run.path) == (folder.name, folder.path)
    assert (run.seed, run.state, run.studies) == (2, "finished", ("made",))
    assert run.command == "normexp train norm=instance batch_size=4 seed=2"
    assert run.factors["norm"] == "instance"
    assert run.factors["optimizer.lr"] == 0.1
    assert run.factors["model.network.widths"] == (8, 8)
    assert accuracy(run) == pytest.approx(75)
    assert at_contrast("5")(run) == pytest.approx(37.5)
    assert gap(run) == pytest.approx(2)
    assert steps_to(50)(run) == 200  # 25, 50 and 75 % after 100, 200 and 300 steps
    assert steps_to(80)(run) is None


def test_every_state_is_a_row(tmp_path: Path) -> None:
    states: tuple[Found, ...] = (0.5, "diverged", "failed", "unfinished")
    for seed, found in enumerate(states):
        make_run(tmp_path, found, seed=seed)
    rows = sorted(runs(tmp_path), key=lambda run: run.seed)
    assert [run.state for run in rows] == ["finished", "diverged", "failed", "unfinished"]
    assert [accuracy(run) for run in rows] == [50, None, None, None]
    assert rows[2].failure == "no space is left"


def test_a_study_has_its_own_runs_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, study="small", seed=0)
    make_run(tmp_path, 0.5, study=None, seed=1)
    assert len(runs(tmp_path)) == 2
    assert [run.seed for run in runs(tmp_path, study="small")] == [0]
    with pytest.raises(UserError, match=r"study=smal: .* did you mean small"):
        runs(tmp_path, study="smal")


def test_an_empty_folder_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run in .*; make one: normexp train"):
        runs(tmp_path)


def test_a_lens_is_read_where_there_is_one(tmp_path: Path) -> None:
    with_lens, damaged = (make_run(tmp_path, 0.5, seed=seed) for seed in (0, 1))
    make_run(tmp_path, 0.5, seed=2)
    leave_lens(with_lens, {"axis": "cost"})
    damaged.lens_file.write_text("{")
    rows = sorted(runs(tmp_path), key=lambda run: run.seed)
    assert [[*run.lens] for run in rows] == [[{"axis": "cost"}], [], []]


def test_what_is_not_set_stands_before_numbers(tmp_path: Path) -> None:
    for scale in (10, 100, None):
        make_run(tmp_path, 0.5, data__red_scale=scale)
    assert list(cells(runs(tmp_path), ["data.red_scale"])) == [(None,), (10,), (100,)]


def test_cells_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_study(tmp_path, ["instance", "batch"], [128, 4, 32], 2, lambda *_: 0.5)
    by = cells(runs(tmp_path), ["batch_size", "norm"])
    assert list(by)[:3] == [(4, "batch"), (4, "instance"), (32, "batch")]
    assert {len(cell) for cell in by.values()} == {2}
    with pytest.raises(UserError, match=r"by=batchsize: .* did you mean batch_size"):
        cells(runs(tmp_path), ["batchsize"])
