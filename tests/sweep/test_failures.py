"""Failed runs: recorded, shown, removed."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from helpers.results import result
from helpers.stand_in import Compose, StandIn, stand_in

from normexp.commands import runs
from normexp.commands.train import carry_out, memory_explained, recorded_failure
from normexp.errors import UserError
from normexp.runs.catalogue import catalogue
from normexp.runs.lock import locked


@pytest.fixture
def cell(compose: Compose, tmp_path: Path) -> StandIn:
    """A run that has begun."""
    made = stand_in(compose, tmp_path / "outputs", "norm=none batch_size=4")
    made.folder.open(made.spec, "normexp train", None)
    return made


def normexp_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> None:
    monkeypatch.setattr(
        sys, "argv", ["normexp runs", f"outputs={tmp_path / 'outputs'}", *arguments]
    )
    runs.main()


def test_a_failure_is_remembered_until_the_run_is_taken_up_again(cell: StandIn) -> None:
    assert cell.folder.failure() is None
    cell.folder.record_failure("the disk is full")
    assert cell.folder.failure() == "the disk is full"
    cell.folder.forget_failure()
    assert cell.folder.failure() is None


def test_an_error_in_a_run_is_recorded_and_goes_on(cell: StandIn) -> None:
    recorded = recorded_failure(cell.folder, cell.spec, cell.runtime)
    with pytest.raises(ZeroDivisionError), recorded:
        1 / 0  # noqa: B018
    assert str(cell.folder.failure()).endswith("ZeroDivisionError: division by zero")


def test_a_full_disk_is_recorded_with_the_setting_of_its_folder(cell: StandIn) -> None:
    recorded = recorded_failure(cell.folder, cell.spec, cell.runtime)
    with pytest.raises(OSError, match="No space left"), recorded:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(cell.folder.checkpoint))
    reason = str(cell.folder.failure())
    assert reason.startswith("No space left on device: ")
    assert "; runtime.outputs must be a folder that can be written, with room left" in reason


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_want_of_memory_is_told_with_the_batch_size(cell: StandIn, error: Exception) -> None:
    told = "out of memory at batch_size=4; try a smaller one"
    recorded = recorded_failure(cell.folder, cell.spec, cell.runtime)
    with pytest.raises(UserError, match=told), memory_explained(cell.spec), recorded:
        raise error
    assert str(cell.folder.failure()).startswith(told)


def test_an_error_before_a_run_is_taken_up_is_not_recorded(
    cell: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may be at work on the run, and well."""

    def refuses(*_: object) -> None:
        raise UserError("runtime.device=cuda: there is none")

    monkeypatch.setattr("normexp.build.training", refuses)
    with locked(cell.folder.path), pytest.raises(UserError, match="there is none"):
        carry_out(cell.spec, cell.runtime, "normexp train")
    assert cell.folder.failure() is None


def test_normexp_runs_shows_why_a_run_failed(
    cell: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell.folder.record_failure("the disk is full")
    normexp_runs(monkeypatch, tmp_path, "state=failed")
    *_, row, _, reason = capsys.readouterr().out.splitlines()
    assert row.endswith("failed")
    assert reason == f"{cell.spec.name} failed: the disk is full"


@pytest.mark.parametrize("state", ["failed", "unfinished", "diverged"])
def test_clean_removes_the_runs_of_a_state_and_no_others(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str
) -> None:
    for number, each in enumerate(("failed", "unfinished", "diverged", "finished")):
        made = stand_in(compose, tmp_path / "outputs", f"seed={number}")
        made.folder.open(made.spec, "normexp train", None)
        if each == "failed":
            made.folder.record_failure("for a reason")
        elif each != "unfinished":
            outcome: Literal["finished", "diverged"]
            outcome = "diverged" if each == "diverged" else "finished"
            made.folder.finish(replace(result(), outcome=outcome))
    normexp_runs(monkeypatch, tmp_path, f"clean={state}", "yes=true")
    left = {entry.state for entry in catalogue(tmp_path / "outputs")}
    assert left == {"failed", "unfinished", "diverged", "finished"} - {state}


def test_clean_needs_a_terminal_or_a_word_and_obeys_filters(
    cell: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserError, match="add yes=true"):
        normexp_runs(monkeypatch, tmp_path, "clean=unfinished")
    assert str(cell.folder.path) in capsys.readouterr().out
    with pytest.raises(UserError, match="clean=finished: one of failed, unfinished, diverged"):
        normexp_runs(monkeypatch, tmp_path, "clean=finished", "yes=true")
    normexp_runs(monkeypatch, tmp_path, "clean=unfinished", "norm=batch", "yes=true")
    assert "no unfinished run to remove" in capsys.readouterr().out
    assert cell.folder.record_file.exists()


def test_clean_keeps_a_run_in_progress(
    cell: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with locked(cell.folder.path):
        normexp_runs(monkeypatch, tmp_path, "clean=unfinished", "yes=true")
    assert cell.folder.record_file.exists()
    assert f"kept: {cell.spec.name} is in progress" in capsys.readouterr().out
