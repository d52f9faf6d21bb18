"""`study=reference`: answers from runs that ship, and trainings that take them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.ship import rows_of, ship
from helpers.typed import SMALL, normexp

from normexp.commands import verify
from normexp.errors import UserError
from normexp.runs import reference
from normexp.runs.catalogue import catalogue
from normexp.runs.looks import read_looks
from normexp.runs.reference import About
from normexp.runs.spec import RunSpec
from normexp.tuned import key_of, tuned_rate

ADVISE = ("advise", "batch_size=4")


@pytest.fixture
def _shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """normexp ships a study in which instance norm is ahead at batch size 4, and a trial."""
    better = {"instance": 0.8, "batch": 0.7}
    make_study(
        tmp_path / "theirs", [*better], [4], 6, lambda n, _, seed: better[n] + seed / 1000, "small"
    )
    make_run(tmp_path / "theirs", 0.95, "tuning_small", norm="none", batch_size=4, seed=1000)
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path / "theirs"))


@pytest.mark.usefixtures("_shipped")
def test_in_a_folder_without_runs_advice_is_from_those_that_ship(tmp_path: Path) -> None:
    answer = normexp(tmp_path, *ADVISE)
    assert answer.code == 0, answer.err
    first, *others = answer.out.splitlines()
    assert "12 runs" in first  # without the trial
    assert "version 7" in first
    assert "in this study: cnn of widths [8,8], generated, 10 epochs, fp32 on a processor" in first
    assert any(line.startswith("Use instance") for line in others), others
    assert not (tmp_path / "outputs").exists()


@pytest.mark.usefixtures("_shipped")
def test_runs_of_the_users_own_come_first_unless_the_reference_is_named(tmp_path: Path) -> None:
    make_study(tmp_path / "outputs", ["batch", "both"], [4], 3, lambda *_: 0.5)
    own = normexp(tmp_path, *ADVISE).out
    assert "ships" not in own
    assert "both" in own
    assert "12 runs" in normexp(tmp_path, *ADVISE, "study=reference").out


@pytest.mark.usefixtures("_shipped")
def test_trials_that_chose_a_learning_rate_are_no_evidence(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    for seed, found in ((1000, 0.9), (1001, 0.9), (1002, 0.9)):
        make_run(outputs, found, "tuning_mine", norm="instance", batch_size=4, seed=seed)
        make_run(outputs, found - 0.5, "tuning_mine", norm="batch", batch_size=4, seed=seed)
    assert "normexp ships" in normexp(tmp_path, *ADVISE).out
    report = normexp(tmp_path, "report")
    assert report.err.startswith("normexp: all runs are trials of normexp tune, which say nothing")
    named = normexp(tmp_path, "report", "study=tuning_mine")
    assert named.code == 0, named.err
    # A look at trials is none at the seeds to come.
    assert not any(1000 in seeds for seeds in read_looks(outputs).cells.values())
    for norm in ("instance", "batch"):
        make_run(outputs, 0.5, None, norm=norm, batch_size=4, seed=0)
    advice = normexp(tmp_path, *ADVISE).out
    assert advice.startswith("No norm is ahead: batch and instance have the same mean"), advice
    assert "1 seed" in advice


@pytest.mark.usefixtures("_shipped")
def test_claims_report_and_runs_know_the_reference(tmp_path: Path) -> None:
    claims = normexp(tmp_path, "claims", "claim=c01")
    assert claims.code == 0, claims.err
    shown = (tmp_path / "outputs" / "claims" / "index.html").read_text(encoding="utf-8")
    assert "reference/runs" not in shown  # runs that ship have no folder to link to
    assert "12 runs" in claims.out.splitlines()[0]
    assert "ships" in shown
    report = normexp(tmp_path, "report", "study=reference")
    assert report.code == 0, report.err
    assert "12 runs" in report.out
    page = tmp_path / "outputs" / "reports" / "reference" / "index.html"
    assert "in this study: cnn" in page.read_text()
    table = normexp(tmp_path, "runs", "study=reference", "columns=norm", "format=csv").out
    assert [line.split(",")[0] for line in table.splitlines()[1:]] == ["batch", "instance", "none"]
    for command in ("runs", "report"):
        answer = normexp(tmp_path / "theirs", command)
        assert answer.code == 1
        assert "study=reference" in answer.err


def test_where_no_run_that_ships_bears_on_a_question_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(monkeypatch, tmp_path / "ship.xz", [])
    answer = normexp(tmp_path, *ADVISE)
    assert answer.code == 0
    assert "no run" in answer.out.splitlines()[0]
    report = normexp(tmp_path, "report", "study=reference")
    assert report.code == 1
    assert len(report.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "tune", "evaluate", "tensorboard"])
def test_a_users_own_study_has_another_name(command: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, command, "study=reference")
    assert answer.code == 1
    assert answer.err.startswith("normexp: study=reference: ")
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "outputs" / "runs").exists()


def test_the_folders_of_several_machines_make_one_table(tmp_path: Path) -> None:
    make_study(tmp_path / "a", ["batch"], [4], 3, lambda *_: 0.5)
    make_study(tmp_path / "b", ["both"], [4], 2, lambda *_: 0.6)
    unfinished = make_run(tmp_path / "a", "unfinished", norm="both", batch_size=4, seed=1)
    folders = "outputs=[a,b]"
    table = normexp(tmp_path, "runs", folders, "columns=norm", "format=json").out
    assert [(row["norm"], row["seeds"]) for row in json.loads(table)] == [("batch", 3), ("both", 2)]
    assert "unfinished" not in table
    assert "unfinished" in normexp(tmp_path, "runs", "outputs=a").out
    advice = normexp(tmp_path, *ADVISE, f"runtime.{folders}").out
    assert "norms: batch; both" in advice
    assert "ships" not in advice
    claims = normexp(tmp_path, "claims", "claim=c01", f"runtime.{folders}")
    assert claims.out.splitlines()[-1] == "Details: a/claims/index.html", claims
    assert unfinished.path.exists()
    train = normexp(tmp_path, "train", f"runtime.{folders}")
    assert train.code == 1
    assert "runtime.outputs=[a,b]" in train.err


def test_trainings_take_runs_that_ship_and_verify_trains_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    mine.mkdir()
    one = (*SMALL, "norm=batch", "seed=0")
    assert normexp(theirs, "train", *one).code == 0
    (row,) = rows_of(theirs / "outputs")
    ship(monkeypatch, tmp_path / "ship.xz", [row])

    answer = normexp(mine, "train", *one, "study=mine")
    assert answer.code == 0, answer.err
    assert "runtime.reference=false" in answer.out
    (entry,) = catalogue(mine / "outputs")
    assert entry.record.studies == ("mine",)
    assert not entry.folder.weights.exists()
    grid = normexp(tmp_path, "train", "-m", *one)
    assert grid.code == 0, grid.err
    assert "1 of 1 runs" in grid.err
    assert "norm=batch batch_size=9" in grid.out  # it is in the table

    verified = normexp(mine, "verify", f"row={row.name}")
    assert verified.code == 0, verified.err
    assert "equal to the bit" in verified.out


def test_a_tuned_rate_that_ships_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, 0.5, lr=0.1)
    (row,) = rows_of(tmp_path)
    of = row.record.spec
    cell = {"cell": "", "key": key_of(of), "lr": 0.7, "at_edge": False, "trials": []}
    tuned = {"small": {"command": "", "cells": [cell]}}
    ship(monkeypatch, tmp_path / "ship.xz", [row], About(version=1, tuned=tuned))
    assert tuned_rate(of, tmp_path / "mine") == 0.7


def test_verify_needs_images_a_known_row_and_says_which(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "verify")
    assert answer.code == 1
    assert "data.root=" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert "no such run" in normexp(tmp_path, "verify", "row=cnn").err


@pytest.mark.usefixtures("_shipped")
def test_a_row_that_was_tampered_with_is_found() -> None:
    row, *_ = every = reference.rows()
    here = replace(row.result.environment, instructions="AVX2")
    result = replace(row.result, environment=here)
    assert result.test
    test = replace(result.test, loss=result.test.loss + 1e-6)
    tampered = replace(row, result=replace(result, test=test))
    found = verify.verify([tampered], every, lambda _: (row.record.spec, result))
    assert found == [row.name]
    assert verify.verify([row], every, lambda _: (row.record.spec, result)) == []


@pytest.mark.usefixtures("_shipped")
def test_what_is_outside_is_trained_a_second_time_and_other_images_give_no_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    every = reference.rows()
    (row,) = (r for r in every if r.record.spec.norm.name == "batch" and r.record.spec.seed == 0)
    assert row.result.test
    worse = replace(row.result, test=replace(row.result.test, accuracy=0.6))
    far = replace(worse, environment=replace(worse.environment, torch="2.99"))
    answers = [far, far, far, row.result]

    def again(_: object) -> tuple[RunSpec, object]:
        return row.record.spec, answers.pop(0)

    assert verify.verify([row], every, again) == [row.name]  # type: ignore[arg-type]
    assert verify.verify([row], every, again) == []  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("a second time") == 2
    assert row.result.test
    others = replace(far, test=replace(row.result.test, fingerprint="another", accuracy=0.1))
    answers[:] = [others]
    assert verify.verify([row], every, again) == []  # type: ignore[arg-type]
    assert "other images" in capsys.readouterr().out


def test_a_row_of_other_numerics_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path, 0.5)
    (row,) = rows_of(tmp_path)
    older = replace(row.record.spec, numerics=1)
    rows = [replace(row, name=older.name, record=replace(row.record, spec=older))]
    with pytest.raises(UserError, match="no run of numerics"):
        verify.chosen(rows, None, 1)
    assert verify.chosen([*rows, row], None, 5) == [row]
