"""The first look at a cell stands."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made import spec

from normexp.runs.looks import FILE, design_for, note_asked, note_look, read_looks
from normexp.runs.runtime import Design, Runtime


def test_the_first_look_at_a_cell_stands(tmp_path: Path) -> None:
    assert read_looks(tmp_path).cells == {}
    note_look(tmp_path, {"a": [2, 0, 1]})
    note_look(tmp_path, {"a": [0, 1, 2, 3], "b": [5]})
    assert read_looks(tmp_path).cells == {"a": (0, 1, 2), "b": (5,)}


def test_seeds_are_planned_that_were_there_or_asked_for_at_the_first_look(tmp_path: Path) -> None:
    runtime = Runtime(str(tmp_path / "outputs"), "cache", "cpu", 1, 1, 20, 60, None)
    one, two, three, four = (spec(seed=seed) for seed in range(4))
    note_asked(tmp_path / "outputs", [one, two])
    note_look(tmp_path / "outputs", {one.cell_name: [0, 2]})
    note_asked(tmp_path / "outputs", [three, four])  # after the look
    designs = [design_for(runtime, each) for each in (one, two, three, four)]
    assert designs == [Design.PLANNED] * 3 + [Design.SEQUENTIAL]
    assert design_for(runtime, spec(seed=9, batch_size=2)) is Design.PLANNED  # not looked at
    assert design_for(replace(runtime, until="decided"), one) is Design.SEQUENTIAL


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    note_look(tmp_path, {"a": [0]})
    written = (tmp_path / FILE).stat().st_mtime_ns
    note_look(tmp_path, {"a": [0, 1]})
    assert (tmp_path / FILE).stat().st_mtime_ns == written
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_look_that_cannot_be_noted_is_no_failure(tmp_path: Path) -> None:
    note_look(tmp_path / "absent", {"a": [0]})
    assert read_looks(tmp_path / "absent").cells == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_no_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    note_look(tmp_path, {"a": [0]})
    assert read_looks(tmp_path).cells == {}


def test_a_damaged_note_is_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert read_looks(tmp_path).cells == {}
    note_look(tmp_path, {"a": [0]})
    assert read_looks(tmp_path).cells == {"a": (0,)}
