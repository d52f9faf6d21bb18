"""What a person sees of a sweep off a terminal: how far it is, and how long it takes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers.results import result
from helpers.stand_in import Compose, StandIn, stand_in

from normexp.sweep import screen
from normexp.sweep.ended import Ended
from normexp.sweep.screen import Screen


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the screen sees, in seconds; a line is due each time."""
    now = [0.0]
    monkeypatch.setattr(screen, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def cells(compose: Compose, tmp_path: Path) -> list[StandIn]:
    return [stand_in(compose, tmp_path, f"seed={seed} epochs=40") for seed in range(2)]


def say(cell: StandIn, *lines: str) -> None:
    with cell.folder.log.open("a") as log:
        log.writelines(f"2026-01-01 00:00:00,000 {line}\n" for line in lines)


SUMMARY = "180 training images; 800 steps of 9; fp32 on cpu, 1 threads"


def epoch(number: int) -> str:
    return f"epoch {number}: train loss 2.300, 100 images/s"


def test_work_that_was_there_before_does_not_count_for_the_time_left(
    cells: list[StandIn], clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = cells
    one.folder.path.mkdir(parents=True)
    say(one, SUMMARY, *map(epoch, range(1, 31)))
    with Screen(cells) as shown:
        shown.show([one.label])
        say(one, "going on after step 600", SUMMARY)
        clock[0] = 5.0
        shown.show([one.label])
        *_, last = capsys.readouterr().err.splitlines()
        assert last.startswith("0 of 2 runs, time left not known; ")
        say(one, *map(epoch, range(31, 36)))
        clock[0] = 50.0
        shown.show([one.label])
        # Five epochs took 50 s; 5 and 40 are left.
        assert "0 of 2 runs, 8 min left; " in capsys.readouterr().err
        shown.tell_end(one.label, Ended("finished", "validation accuracy 25.0 %"))
        clock[0] = 100.0
        shown.show([other.label])
        # Ten took 100 s, and 40 are left.
        assert "1 of 2 runs, 7 min left; " in capsys.readouterr().err


def test_only_a_run_with_a_result_is_finished_and_one_that_is_stopped_has_not_failed(
    cells: list[StandIn], clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    ends = ("in progress", "stopped", "failed", "diverged")
    with Screen(cells) as shown:
        for each in ends:
            shown.tell_end(cells[0].label, Ended(each, "for a reason"))
        clock[0] = 1.0
        shown.show([])
    assert "1 of 2 runs, 1 failed, 1 stopped, 1 elsewhere, " in capsys.readouterr().err


def test_a_finished_run_counts_from_the_start(
    cells: list[StandIn], clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    cells[0].open(None)
    cells[0].folder.finish(result())
    with Screen(cells) as shown:
        clock[0] = 1.0
        shown.show([])
    assert capsys.readouterr().err.startswith("1 of 2 runs, time left not known; 0 running: ")


def test_warnings_are_told_once_and_a_damaged_checkpoint_of_each_run(
    cells: list[StandIn], clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = "checkpoint.pt is damaged; it is set aside as checkpoint.pt.damaged"
    with Screen(cells) as shown:
        cells[0].folder.path.mkdir(parents=True)
        say(cells[0], "warning: of a run before")
        shown.show([cell.label for cell in cells])
        for cell in cells:
            say(cell, damaged, "the run starts again", SUMMARY, "warning: all are alike")
        clock[0] = 1.0
        shown.show([cells[0].label])
        shown.tell_end(cells[1].label, Ended("finished", "validation accuracy 25.0 %"))
    lines = capsys.readouterr().err.splitlines()
    starts = [[f"{cell.label}: {damaged}", f"{cell.label}: the run starts again"] for cell in cells]
    told = [line for line in lines if "running" not in line and "validation" not in line]
    assert told == [*starts[0], "warning: all are alike", *starts[1]]
