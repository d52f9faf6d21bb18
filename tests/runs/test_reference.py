"""The file of the runs that normexp ships: what goes in comes out, and nothing of a machine."""

from __future__ import annotations

import lzma
import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made import leave_lens, make_run, result, spec
from helpers.ship import rows_of, ship

from normexp.errors import UserError
from normexp.runs import reference
from normexp.runs.catalogue import catalogue
from normexp.runs.folder import RunFolder
from normexp.runs.record import RunRecord
from normexp.runs.reference import About, Row, take
from normexp.runs.result import EpochResult
from normexp.runs.runtime import Design, Runtime
from normexp.runs.trimmed import trimmed_command, trimmed_record, trimmed_result
from normexp.sweep.cell import Cell

ROOT = Path(__file__).parents[2]
OWN = Runtime("outputs", "cache", "cpu", 1, 1, 20, 60, "mine")


def test_rows_are_read_as_the_catalogue_reads_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 0):
        make_run(tmp_path, 0.5 + seed / 10, seed=seed)
    make_run(tmp_path, "diverged", norm="none")
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path))
    expected, found = catalogue(tmp_path), [row.entry for row in reference.rows()]
    assert [e.folder.name for e in found] == [e.folder.name for e in expected]
    for shipped, own in zip(found, expected, strict=True):
        assert shipped.record == trimmed_record(own.record)
        assert own.result
        assert shipped.result == trimmed_result(own.result)
        assert (shipped.state, shipped.factors) == (own.state, own.factors)
        assert abs(shipped.modified - own.modified) < 2 * 86400


def test_the_lens_ships_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path, 0.5)
    leave_lens(folder, {"axis": "cost", "value": 0.1})
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path))
    (row,) = reference.rows()
    assert row.entry.folder.lens() == folder.lens()


def test_the_same_rows_in_any_order_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_run(tmp_path, 0.5, seed=seed)
    rows = rows_of(tmp_path)
    ship(monkeypatch, tmp_path / "a.xz", rows)
    ship(monkeypatch, tmp_path / "b.xz", rows[::-1])
    assert (tmp_path / "a.xz").read_bytes() == (tmp_path / "b.xz").read_bytes()


def test_no_place_is_shipped_and_the_name_stays() -> None:
    of = spec()
    source = {**of.data.source, "root": "/home/me/pets", "cache_dir": "/scratch/me"}
    of = replace(of, data=replace(of.data, root="/home/me/pets", source=source))
    found = trimmed_record(RunRecord(of, "normexp train"))
    assert found.spec.name == of.name
    assert "/home" not in repr(found)
    assert "/scratch" not in repr(found)
    command = "normexp train norm=batch 'data.root=/home/me/my pets' runtime.outputs=/x seed=0"
    assert trimmed_command(command) == "normexp train norm=batch 'data.root=<data>' seed=0"


def test_a_long_history_is_thinned_and_keeps_its_end_and_its_seconds() -> None:
    epochs = [EpochResult(k, k, k, 1.0, 0.5, 1.0, 0.5) for k in range(1, 46)]
    long = result(spec(), 0.5)
    timing = replace(long.timing, seconds=45.0, epoch_seconds=(1.0,) * 45)
    found = trimmed_result(replace(long, history=tuple(epochs), timing=timing))
    assert len(found.history) == len(found.timing.epoch_seconds) == 20
    assert found.history[-1].epoch == 45
    assert sum(found.timing.epoch_seconds) == 45
    assert list(found.timing.epoch_seconds)[:3] == [2.0, 2.0, 2.0]
    short = result(spec(), 0.5)
    assert trimmed_result(short) == short


def test_studies_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, 0.5, study="tuning_a", seed=0)
    make_run(tmp_path, 0.5, study="a", seed=1)
    make_run(tmp_path, 0.5, study=None, seed=2)
    both = make_run(tmp_path, 0.5, study="tuning_a", seed=3)
    both.open(spec(seed=3), "", "a")
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path))
    assert {row.record.spec.seed for row in reference.rows("tuning_")} == {1, 2, 3}


def test_a_shipped_run_is_taken_once_as_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "theirs", 0.625, study="theirs", seed=4)
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path / "theirs"))
    folder = RunFolder.of(tmp_path / "mine", spec(seed=4))
    assert take(folder, spec(seed=4), "normexp train seed=4", OWN)
    found = folder.result()
    assert found
    assert found.test
    assert found.test.accuracy == 0.625
    asked = folder.record()
    assert (asked.command, asked.studies) == ("normexp train seed=4", ("mine",))
    assert asked.design is Design.PLANNED
    before = folder.result_file.read_bytes()
    assert not take(folder, spec(seed=4), "", OWN)
    assert folder.result_file.read_bytes() == before
    assert not take(RunFolder.of(tmp_path / "mine", spec(seed=5)), spec(seed=5), "", OWN)


def test_a_sequential_run_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "theirs", 0.6)
    folder.open(spec(), "", None, Design.SEQUENTIAL)
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path / "theirs"))
    mine = RunFolder.of(tmp_path / "mine", spec())
    assert take(mine, spec(), "", OWN)
    assert mine.record().design is Design.SEQUENTIAL


def test_a_run_of_other_numerics_or_other_images_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "theirs", 0.6)
    (row,) = rows_of(tmp_path / "theirs")
    older = replace(row.record.spec, numerics=1)
    images = {**spec().data.source, "content": "0123456789abcdef"}
    others = replace(spec(), data=replace(spec().data, source=images))
    rows = [
        replace(row, name=each.name, record=replace(row.record, spec=each))
        for each in (older, others)
    ]
    ship(monkeypatch, tmp_path / "ship.xz", rows)
    assert not take(RunFolder.of(tmp_path / "mine", spec()), spec(), "", OWN)
    assert take(RunFolder.of(tmp_path / "mine", others), others, "", OWN)


def mine_of_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Ship one run, and return the folder that the same one has here."""
    make_run(tmp_path / "theirs", 0.6)
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path / "theirs"))
    return RunFolder.of(tmp_path / "mine", spec())


def test_without_reference_a_run_that_was_taken_is_finished_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = mine_of_one_that_ships(tmp_path, monkeypatch)
    anew = replace(OWN, reference=False)
    assert take(mine, spec(), "", OWN)
    assert not take(mine, spec(), "", anew)
    assert not mine.is_finished()
    assert take(mine, spec(), "", OWN)
    mine.weights.write_bytes(b"as a training leaves them")
    assert not take(mine, spec(), "", anew)
    assert mine.is_finished()


def test_a_sweep_without_reference_trains_a_run_that_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = mine_of_one_that_ships(tmp_path, monkeypatch)
    assert take(mine, spec(), "", OWN)
    cell = Cell("", spec(), replace(OWN, reference=False), mine, ())
    assert not cell.take()
    assert not cell.is_finished


def test_without_reference_a_run_that_another_process_has_trained_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = mine_of_one_that_ships(tmp_path, monkeypatch)
    found = reference.find

    def slow(name: str) -> Row | None:
        mine.open(spec(), "", None)
        mine.weights.write_bytes(b"as a training leaves them")
        mine.finish(result(spec(), 0.7))
        return found(name)

    monkeypatch.setattr(reference, "find", slow)
    assert not take(mine, spec(), "", replace(OWN, reference=False))
    assert mine.is_finished()


def test_a_damaged_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ship.xz"
    ship(monkeypatch, file, [])
    monkeypatch.setattr(reference, "FILE", tmp_path / "cut.xz")
    reference.FILE.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"cut\.xz cannot be read"):
        reference.rows()
    ship(monkeypatch, tmp_path / "later.xz", [], About(format=2))
    with pytest.raises(UserError, match="format 2"):
        reference.about()


def test_what_normexp_ships_is_whole_small_and_names_no_machine() -> None:
    rows, page = reference.rows(), ROOT / "docs" / "results" / "data.md"
    assert rows
    assert all(row.record.spec.name == row.name for row in rows)
    tested = [row.result.test for row in rows if row.result.test]
    assert tested
    assert all(test.fingerprint for test in tested)
    assert reference.FILE.stat().st_size < 4e6
    text = lzma.decompress(reference.FILE.read_bytes()).decode()
    assert not re.search(r"/(root|home|work|tmp|Users|mnt)/", text)
    versions = re.findall(r"^\| (\d+) \| 20", page.read_text(encoding="utf-8"), flags=re.M)
    assert int(versions[-1]) == reference.about().version
