"""`normexp evaluate` from the command line to the files it leaves."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.made import ENVIRONMENT, leave_lens, make_run
from helpers.small_run import events
from helpers.typed import SMALL, Answer, normexp

from normexp.commands import evaluate as command
from normexp.runs.files import write_record
from normexp.runs.folder import RunFolder

SHORT = (
    "images=40",
    "contrast.curve=[0.5,1]",
    "contrast.per_image=[0.5]",
    "contrast.gain=[0.5]",
    "contrast.gamma=[2]",
    "contrast.batch_size=16",
    "statistics.batch_sizes=[1,4,64]",
    "statistics.alphas=[0.5]",
    "statistics.precise_batch_sizes=[4,9]",
    "noise.images=1",
    "noise.draws=4",
    "noise.batch_sizes=[2,64]",
    "cost.steps=1",
    "runtime.threads=1",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three finished runs of a study, of which one is of instance norm."""
    folder = tmp_path_factory.mktemp("trained")
    for norm, seed in (("batch", 0), ("batch", 1), ("instance", 0)):
        arguments = (f"norm={norm}", f"seed={seed}", "epochs=1", "study=seen")
        assert normexp(folder, "train", *SMALL, *arguments).code == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def run_of(folder: Path, norm: str) -> Path:
    return next(folder.glob(f"outputs/runs/cnn-{norm}-b9-none-s0-*"))


def evaluate(folder: Path, *arguments: str) -> Answer:
    return normexp(folder, "evaluate", *SHORT, *arguments)


def rows_of(folder: Path, norm: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((run_of(folder, norm) / "lens.json").read_text())[
        "rows"
    ]
    return rows


def rows_where(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


# What it leaves.


def test_a_run_is_seen_on_every_axis(runs: Path) -> None:
    before = (run_of(runs, "batch") / "weights.pt").read_bytes()
    answer = evaluate(runs, f"run={run_of(runs, 'batch')}")
    assert answer.code == 0, answer.err
    rows = rows_of(runs, "batch")
    assert [row["axis"] for row in rows] == sorted(
        (row["axis"] for row in rows),
        key=["cost", "contrast", "statistics", "noise", "layers"].index,
    )
    # One unchanged, five severities twice, two of the curve, and one of three others.
    contrast = rows_where(rows, axis="contrast")
    assert len(contrast) == 2 * 16
    assert {row["batch_size"] for row in contrast} == {None, 16}
    (clean,) = rows_where(contrast, change="none", statistics="running")
    assert (clean["drift"], clean["changed"]) == (0, 0)
    (same,) = rows_where(contrast, change="curve", level=1, statistics="batch")
    assert (same["drift"], same["largest"], same["changed"]) == (0, 0, 0)
    # Batches of 64 are more than there are images.
    found = {
        (row["statistics"], row["batch_size"], row["alpha"])
        for row in rows_where(rows, axis="statistics")
    }
    assert found == {
        ("running", None, None),
        *(("batch", size, None) for size in (1, 4)),
        ("mix", None, 0.5),
        *((name, size, None) for name in ("precise", "cumulative") for size in (9, 4)),
    }
    noise = rows_where(rows, axis="noise")
    assert [row["layer"] for row in noise] == [*(f"{place}.norm" for place in PLACES), "logits"]
    (cost,) = rows_where(rows, axis="cost")
    assert cost["batch_size"] == 9
    assert (run_of(runs, "batch") / "weights.pt").read_bytes() == before
    with (run_of(runs, "batch") / "lens.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    for word in ("corruption_float", "precise of 9", "logits", "multiply-adds"):
        assert word in answer.out


PLACES = ("stage0.0", "stage1.0", "stage1.1", "stage2.0", "stage2.1", "stage3.0")


def test_the_lens_agrees_with_the_result(runs: Path) -> None:
    assert evaluate(runs, f"run={run_of(runs, 'batch').name}").code == 0
    test = json.loads((run_of(runs, "batch") / "result.json").read_text())["test"]
    rows = rows_where(rows_of(runs, "batch"), axis="contrast", statistics="running")
    (clean,) = rows_where(rows, change="none")
    assert clean["accuracy"] == pytest.approx(test["accuracy"])
    assert clean["loss"] == pytest.approx(test["loss"], rel=1e-4)
    for severity, share in enumerate((0.75, 0.5, 0.4, 0.3, 0.15), start=1):
        (row,) = rows_where(rows, change="corruption", level=share)
        assert row["accuracy"] == pytest.approx(test["contrast"][str(severity)])


def test_without_batch_statistics_every_difference_is_exactly_nothing(runs: Path) -> None:
    assert evaluate(runs, f"run={run_of(runs, 'instance')}").code == 0
    rows = rows_of(runs, "instance")
    for row in rows_where(rows, axis="statistics"):
        assert (row["drift"], row["largest"], row["changed"]) == (0, 0, 0), row
    for row in rows_where(rows, axis="noise"):
        assert (row["layer"], row["spread"]) == ("logits", 0)


@pytest.mark.slow
def test_tensorboard_shows_it_beside_the_training(runs: Path) -> None:
    for _ in range(2):  # the second look takes the place of the first
        assert evaluate(runs, f"run={run_of(runs, 'batch')}", f"seed={_}").code == 0
    board = events(run_of(runs, "batch"))
    tags = board.Tags()["scalars"]
    assert "test/accuracy" in tags
    assert {"lens/curve/running", "lens/statistics/none/batch", "lens/noise/logits"} <= set(tags)
    points = board.Scalars("lens/curve/batch")
    rows = rows_where(rows_of(runs, "batch"), change="curve", statistics="batch")
    assert [(point.step, point.value) for point in points] == [
        (round(100 * row["level"]), pytest.approx(row["accuracy"])) for row in rows
    ]


# Typing it again.


def test_what_is_done_is_not_done_again_and_needs_no_torch(runs: Path) -> None:
    run = run_of(runs, "batch")
    first = evaluate(runs, f"run={run}")
    before = (run / "lens.json").stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "normexp", "evaluate", *SHORT, f"run={run}"],
        cwd=runs,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{run.name} is evaluated already\n{first.out}"
    assert (run / "lens.json").stat().st_mtime_ns == before
    assert not {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()} & {"torch"}


@pytest.mark.parametrize("weights", ["the same", "others"])
def test_of_a_run_trained_anew_the_lens_stays_or_goes_as_a_whole(runs: Path, weights: str) -> None:
    folder = RunFolder(run_of(runs, "batch"))
    digest = hashlib.sha256(folder.weights.read_bytes()).hexdigest()
    leave_lens(folder, weights=digest if weights == "the same" else "of before")
    folder.lens_table.write_text("axis")
    (folder.path / "events.out.tfevents.1.host.1.0.lens").write_bytes(b"")
    folder.result_file.unlink()
    again = normexp(runs, "train", *SMALL, "norm=batch", "seed=0", "epochs=1")
    assert again.code == 0, again.err
    assert hashlib.sha256(folder.weights.read_bytes()).hexdigest() == digest
    (training,) = folder.events()
    assert training.stat().st_size
    left = {file.name for file in folder.path.glob("*lens*")}
    every = {"lens.json", "lens.csv", "events.out.tfevents.1.host.1.0.lens"}
    assert left == (every if weights == "the same" else set())


@pytest.mark.slow
def test_an_axis_that_is_missing_or_asked_otherwise_is_measured_and_no_other(runs: Path) -> None:
    run = run_of(runs, "batch")
    assert evaluate(runs, f"run={run}").code == 0
    before = rows_of(runs, "batch")
    assert evaluate(runs, f"run={run}", "noise.draws=8").code == 0
    after = rows_of(runs, "batch")
    # Times differ from one measurement to the next, so equal ones were kept.
    assert rows_where(after, axis="cost") == rows_where(before, axis="cost")
    assert {row["draws"] for row in rows_where(after, axis="noise")} == {8}
    content = json.loads((run / "lens.json").read_text())
    assert set(content["seconds"]) == {"cost", "contrast", "statistics", "noise", "layers"}


class StandIn:
    """The lens, with one row an axis; a `stopped` axis is interrupted."""

    def __init__(self, stopped: str = "") -> None:
        self.stopped = stopped

    def tasks(self, axis: str, settings: object) -> list[Callable[[], list[dict[str, Any]]]]:
        def task() -> list[dict[str, Any]]:
            if axis == self.stopped:
                raise KeyboardInterrupt
            return [{"axis": axis}]

        return [task]


def test_an_axis_that_was_not_reached_is_measured_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("normexp.evaluation.lens_curves.write_curves", lambda *_: None)
    folder = make_run(tmp_path, 0.5)

    def look(images: int, lens: StandIn) -> list[Any]:
        asked = {"common": {"images": images}, "weights": "", **{a: {} for a in command.AXES}}
        make: Any = lambda: (lens, ENVIRONMENT)  # noqa: E731
        rows = command.evaluate(folder, asked, make, command.AXES)
        return [row["axis"] for row in rows]

    assert look(100, StandIn()) == [*command.AXES]
    with pytest.raises(KeyboardInterrupt):
        look(200, StandIn(stopped="contrast"))
    record = folder.lens()
    assert record is not None
    assert set(record.seconds) == {"cost"}
    assert look(200, StandIn()) == [*command.AXES]


@pytest.mark.slow
def test_several_runs_are_seen_by_processes_and_end_in_a_table_and_a_picture(runs: Path) -> None:
    answer = evaluate(runs, "run=cnn-*-s0-*", "runtime.jobs=2")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["batch", "instance"]
    assert (runs / "outputs" / "lens.png").read_bytes().startswith(b"\x89PNG")
    again = evaluate(runs, f"run={run_of(runs, 'instance').name}")
    assert "is evaluated already" in again.out


def test_a_run_that_cannot_be_seen_does_not_keep_the_others_from_it(runs: Path) -> None:
    (run_of(runs, "instance") / "weights.pt").unlink()
    answer = evaluate(runs, "study=seen", "runtime.jobs=3")
    assert answer.code == 1
    told = answer.err.splitlines()
    assert told[-1] == "normexp: 1 of 3 runs failed; see above"
    assert any(run_of(runs, "instance").name in line and "is not there" in line for line in told)
    assert len(answer.out.splitlines()) == 5  # a head, two runs, nothing, the picture


# Mistakes.


def mistake(folder: Path, *arguments: str) -> str:
    answer = evaluate(folder, *arguments)
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    assert line.startswith("normexp: ")
    return line.removeprefix("normexp: ")


def test_a_mistake_is_told_in_a_line(runs: Path) -> None:
    run = run_of(runs, "batch")
    assert mistake(runs).startswith("name the runs: run=")
    assert mistake(runs, "run=a", "study=b").startswith("name the runs: run=")
    assert mistake(runs, "run=nothing").startswith("run=nothing: there is no such run; there are:")
    assert mistake(runs, "study=sen").endswith("did you mean seen?")
    assert mistake(runs, f"run={run}", "images=0").startswith("images=0: ")
    assert mistake(runs, f"run={run}", "noise.drawz=3").startswith("there is no setting")
    (run / "weights.pt").write_bytes(b"something else")
    assert "weights.pt is damaged" in mistake(runs, f"run={run}")
    (run / "weights.pt").unlink()
    assert "weights.pt is not there" in mistake(runs, f"run={run}")
    (run / "result.json").unlink()
    assert "only a finished run can be evaluated" in mistake(runs, f"run={run}")
    (run / "run.json").write_text("{")
    assert "is damaged" in mistake(runs, f"run={run}")


def test_images_that_are_not_those_of_the_training_are_refused(runs: Path) -> None:
    run = run_of(runs, "batch")
    record = RunFolder(run).record()
    source = {**record.spec.data.source, "root": str(runs / "gone"), "content": "0123"}
    spec = replace(record.spec, data=replace(record.spec.data, source=source))
    write_record(run / "run.json", replace(record, spec=spec))
    told = mistake(runs, f"run={run}")
    assert told.endswith(f"not in {runs / 'gone'} any more; move them back there")
    (runs / "gone").mkdir()
    assert "not those that it was trained on" in mistake(runs, f"run={run}")
