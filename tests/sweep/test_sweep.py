"""The story of a sweep, with tiny commands in place of trainings."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from helpers import stand_in as stand_ins
from helpers.results import result
from helpers.stand_in import FINISH, Compose, StandIn, stand_in
from helpers.waiting import wait_until

from hydra_plugins.normexp_launcher.launcher import keep_images
from normexp.commands import child
from normexp.errors import Stopped, UserError
from normexp.runs.catalogue import catalogue
from normexp.runs.lock import locked
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec
from normexp.sweep import fork, pool
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended, how_it_ended
from normexp.sweep.pool import GRACE_SECONDS
from normexp.sweep.sweep import conclude, sweep

FAIL = "import sys; print('Traceback', flush=True); sys.exit('normexp: no room')"
SLEEP = "print('under way', flush=True); import time; time.sleep(60)"

Make = Callable[..., StandIn]


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for runs are scripts, which a fork is no place for."""
    monkeypatch.setattr(fork, "can_fork", lambda: False)
    monkeypatch.setattr(pool, "CHILD", stand_ins.child())


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def make(compose: Compose, outputs: Path) -> Make:
    def made(overrides: str, script: str = FINISH) -> StandIn:
        return stand_in(compose, outputs, overrides, script)

    return made


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def states(outputs: Path) -> list[str]:
    return sorted(entry.state for entry in catalogue(outputs))


def test_all_cells_are_carried_out_and_told_in_a_table(
    make: Make, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep([make(f"seed={seed}") for seed in range(3)], keep_images)
    assert states(outputs) == ["finished"] * 3
    out, err = capfd.readouterr()
    assert re.search(r"\n3 +50\.0 ± 0\.0 .* finished\nall: model=cnn norm=batch", out)
    assert f"tensorboard runtime.outputs={outputs}" in out
    assert err.startswith("3 runs in 1 cell: 3 to do")
    assert "seed=1: validation accuracy 25.0 %, 60 s" in err


def test_a_second_call_starts_no_process_and_joins_the_study(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = [make(f"seed={seed}") for seed in range(2)]
    sweep(cells, keep_images)
    logs = [cell.log.stat().st_mtime_ns for cell in cells]
    assert [cell.folder.record().studies for cell in cells] == [("trial",)] * 2
    sweep([make(f"seed={seed} study=other", FAIL) for seed in range(2)], keep_images)
    assert [cell.log.stat().st_mtime_ns for cell in cells] == logs
    assert [cell.folder.record().studies for cell in cells] == [("trial", "other")] * 2
    assert "2 runs in 1 cell: 2 finished\n" in capfd.readouterr().err


def test_finished_runs_tell_how_long_new_seeds_take(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep([make("seed=0")], keep_images)
    sweep([make("seed=1"), make("seed=0")], keep_images)
    told = "2 runs in 1 cell: 1 finished, 1 to do; about 60 s of training (from 1 finished run)\n"
    assert told in capfd.readouterr().err


def test_a_failing_cell_is_told_recorded_and_does_not_stop_the_others(
    make: Make, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    killed, quiet = "import os; os.kill(os.getpid(), 9)", "import sys; sys.exit(3)"
    scripts = [FAIL, FINISH, killed, quiet]
    cells = [make(f"seed={seed}", script) for seed, script in enumerate(scripts)]
    with pytest.raises(UserError, match="3 of 4 runs failed"):
        sweep(cells, keep_images)
    assert states(outputs) == ["failed", "failed", "failed", "finished"]
    out, err = capfd.readouterr()
    assert "seed=0: failed: no room\n" in err
    assert f"failed: seed=0: no room\n  see {cells[0].folder.path}\n" in out
    assert "seed=2: killed by SIGKILL, by another program" in out
    assert "seed=3: ended with exit code 3" in out
    assert cells[0].log.read_text() == "Traceback\nnormexp: no room\n"


def test_a_failed_cell_is_tried_again(make: Make, outputs: Path) -> None:
    with pytest.raises(UserError):
        sweep([make("seed=0", FAIL)], keep_images)
    sweep([make("seed=0")], keep_images)
    assert states(outputs) == ["finished"]


def test_half_done_cells_go_first(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    cells = [make(f"seed={seed} runtime.jobs=1") for seed in range(2)]
    cells[1].folder.path.mkdir(parents=True)
    cells[1].folder.checkpoint.touch()
    sweep(cells, keep_images)
    err = capfd.readouterr().err
    assert err.startswith("2 runs in 1 cell: 1 to resume, 1 to do\n")
    assert err.index("seed=1 runtime.jobs=1: val") < err.index("seed=0 runtime.jobs=1: val")


def test_a_cell_that_cannot_work_is_told_before_any_is_started(
    make: Make, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [make("seed=0"), make("seed=1"), make("norm=group")]
    # Cells that differ in the seed only are checked once.
    check = "print('a download'); print('[null, \"maps of 1×1\"]')"
    monkeypatch.setattr(pool, "CHILD", stand_ins.child(check))
    words = r"maps of 1×1 \(in the cell norm=group\); nothing was started; skip_impossible=true"
    with pytest.raises(UserError, match=words):
        sweep(cells, keep_images)
    assert not outputs.exists()


def test_nothing_is_left_out_where_no_cell_can_work(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = 'print(\'["maps of 1×1", "maps of 1×1"]\')'
    monkeypatch.setattr(pool, "CHILD", stand_ins.child(check))
    with pytest.raises(UserError, match=r"1 more cell cannot work; nothing was started$"):
        sweep([make("norm=group"), make("norm=batch")], keep_images)


def test_a_cell_that_cannot_work_is_left_out_where_that_is_asked_for(
    make: Make,
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    skip = "skip_impossible=true"
    cells = [
        make(f"{each} {skip}") for each in ("seed=0", "norm=group seed=0", "norm=group seed=1")
    ]
    check = "print('[null, \"maps of 1×1\"]')"
    monkeypatch.setattr(pool, "CHILD", stand_ins.child(check))
    sweep(cells, keep_images)
    assert states(outputs) == ["finished"]
    out = capfd.readouterr().out
    assert f"left out: norm=group seed=1 {skip}: maps of 1×1\n" in out


def test_where_no_cell_can_work_nothing_is_started_and_the_reason_is_told(
    make: Make, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A single one too, as it is what a second command finds where the others are finished.
    monkeypatch.setattr(pool, "CHILD", stand_ins.child("print('[\"maps of 1×1\"]')"))
    with pytest.raises(UserError, match=r"no run can work; nothing was started: maps of 1×1"):
        sweep([make("norm=group skip_impossible=true")], keep_images)
    assert not outputs.exists()


def test_a_check_that_breaks_stops_nothing(
    make: Make, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHILD", stand_ins.child("raise SystemExit(1)"))
    sweep([make("seed=0"), make("seed=1")], keep_images)
    assert states(outputs) == ["finished", "finished"]


def test_a_run_in_progress_elsewhere_is_left_to_the_other_process(
    make: Make, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = [make("seed=0", FAIL), make("seed=1")]
    cells[0].folder.path.mkdir(parents=True)
    words = "1 of 2 runs in progress elsewhere, by other processes; type the same command"
    with locked(cells[0].folder.path), pytest.raises(UserError, match=words):
        sweep(cells, keep_images)
    assert states(outputs) == ["finished"]
    assert f"seed=0: {cells[0].spec.name} is in progress" in capfd.readouterr().err


def test_a_run_that_another_process_has_finished_meanwhile_is_not_missed(make: Make) -> None:
    cell = make("seed=0")
    cell.open(None)
    cell.folder.finish(result())
    conclude([cell], {cell.label: Ended("in progress", "it is left to that process")})


@pytest.mark.parametrize(
    ("has_begun", "words"),
    [(True, "the same command goes on from its checkpoint"), (False, "before its first step")],
)
def test_a_process_that_is_killed_as_it_stops_goes_on_where_it_has_a_checkpoint(
    make: Make, has_begun: bool, words: str
) -> None:
    cell = make("seed=0")
    cell.folder.path.mkdir(parents=True)
    if has_begun:
        cell.folder.checkpoint.touch()
    end = how_it_ended(cell, -signal.SIGKILL, "epoch 3", None, stopping=True)
    assert end.how == "stopped"
    assert end.words.endswith(words)


def test_a_process_without_a_result_is_not_told_by_the_last_line_of_a_run(make: Make) -> None:
    end = how_it_ended(make("seed=0"), 0, "outputs/runs/another", None, stopping=False)
    assert end.line == (
        "failed: ended without an error and without a result; it said: outputs/runs/another"
    )


def test_a_job_is_given_the_settings_of_its_cell_and_reads_images_of_its_own(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make("seed=0")
    here = Cell(cell.label, cell.spec, cell.runtime, cell.folder, ("seed=0",))
    asked = here.asked(3)
    far = here.task_far(3, cell.runtime.cache_dir)
    assert far.do == "train"
    assert far.given["spec"] == asked["spec"]
    runtime = dict(asked["runtime"])
    assert runtime["threads"] == 3
    del runtime["cache_dir"]
    assert far.given["runtime"] == runtime
    carried: list[tuple[RunSpec, Runtime]] = []
    monkeypatch.setattr(
        "normexp.commands.train.carry_out", lambda *given: carried.append(given[:2])
    )
    monkeypatch.setenv("NORMEXP_CACHE", "/of/the/job")
    child.train_spec(far.given["spec"], far.given["runtime"], "normexp train")
    assert carried == [(cell.spec, replace(cell.runtime, threads=3, cache_dir="/of/the/job"))]
    other = replace(here, runtime=replace(cell.runtime, cache_dir="/typed"))
    assert other.task_far(3, cell.runtime.cache_dir) == other.task(3)


def test_a_part_that_has_changed_since_the_sweep_began_is_not_trained_under_the_old_name(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edited.py").write_text("from torch.nn import BatchNorm2d as Mine\n")
    asked = make("norm=custom norm.layer._target_=edited.Mine").asked()
    (tmp_path / "edited.py").write_text("from torch.nn import InstanceNorm2d as Mine\n")
    with pytest.raises(UserError, match="edited has changed since the sweep began; type"):
        child.train_spec(asked["spec"], asked["runtime"], "normexp train")


def test_a_log_that_cannot_be_written_fails_its_cell_only(make: Make, outputs: Path) -> None:
    cells = [make("seed=0"), make("seed=1")]
    cells[0].log.mkdir(parents=True)
    with pytest.raises(UserError, match="1 of 2 runs failed"):
        sweep(cells, keep_images)
    assert states(outputs) == ["failed", "finished"]
    reason = str(cells[0].folder.failure())
    assert reason.startswith("cannot be started: Is a directory: ")
    assert "; runtime.outputs must be a folder that can be written" in reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_what_is_under_way_and_starts_nothing_more(
    make: Make, number: signal.Signals
) -> None:
    cells = [make(f"seed={seed} runtime.jobs=1", SLEEP) for seed in range(2)]

    def stop() -> None:
        wait_until(lambda: "under way" in text_of(cells[0].log), 20)
        os.kill(os.getpid(), number)

    Thread(target=stop).start()
    with pytest.raises(Stopped, match="stopped with 0 of 2 runs finished") as stopped:
        sweep(cells, keep_images)
    assert stopped.value.signal_number == number
    assert not cells[1].log.exists()
    assert not (cells[0].folder.path / "failure.json").exists()


def test_a_second_signal_ends_all_at_once(make: Make) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SLEEP}"
    cell = make("seed=0", deaf)

    def stop() -> None:
        wait_until(lambda: "under way" in text_of(cell.log), 20)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    Thread(target=stop).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as stopped:
        sweep([cell], keep_images)
    assert stopped.type is KeyboardInterrupt
    assert time.monotonic() - began < GRACE_SECONDS / 2


@pytest.mark.parametrize("skip", [True, False])
def test_a_fault_makes_no_cell_impossible(
    skip: bool, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: Exception) -> str | None:
        def training(*_: object) -> None:
            raise error

        monkeypatch.setattr("normexp.build.training", training)
        asked = make(f"seed=0 skip_impossible={str(skip).lower()}").asked()
        return child.problem(asked["spec"], asked["runtime"])

    fault = raising(RuntimeError("of a test"))
    assert fault is None if skip else "RuntimeError: of a test" in str(fault)
    assert raising(UserError("8 groups")) == "8 groups"
