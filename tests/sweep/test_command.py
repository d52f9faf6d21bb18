"""Real sweeps: `normexp train -m` with processes that train."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.stand_in import Compose

from hydra_plugins.normexp_launcher import launcher
from normexp import build, cli
from normexp.commands import child
from normexp.runs.catalogue import catalogue
from normexp.runs.plain import to_plain
from normexp.runs.result import RunResult, Timing
from normexp.runs.spec import Settings
from normexp.sweep.cell import labels
from normexp.sweep.fork import can_fork

# 180 training images: two epochs of four steps.
SMALL = (
    "data=generated",
    "data.source.num_train=200",
    "data.source.num_test=50",
    "model.network.widths=[8,8,8,8,8,8]",
    "batch_size=45",
    "epochs=2",
    "runtime.device=cpu",
    "runtime.threads=1",
)
# It passes the check, which takes no gradients.
BREAKING = """
from torch import nn

class Breaks(nn.BatchNorm2d):
    def forward(self, x):
        if x.requires_grad:
            raise ZeroDivisionError("broken on purpose")
        return super().forward(x)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


def train(*arguments: str) -> int:
    return cli.run(["train", *SMALL, *arguments])


def results(outputs: str) -> list[RunResult]:
    """What the finished runs found, but for the time that it took."""
    found = [entry.result for entry in catalogue(Path(outputs)) if entry.result]
    return [replace(result, timing=Timing(0.0, (), 0.0)) for result in found]


def test_a_sweep_finds_the_runs_of_a_norm_of_ones_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_norm.py").write_text(
        "from torch import nn\n\nclass Mine(nn.BatchNorm2d): ...\n"
    )
    mine = ("norm=custom", "norm.layer._target_=my_norm.Mine")
    assert train(*mine, "steps=1", "seed=0,1", "-m") == 0, capfd.readouterr().err
    entries = catalogue(Path("outputs"))
    assert [(entry.state, [*entry.record.spec.source]) for entry in entries] == [
        ("finished", ["my_norm"])
    ] * 2


def test_a_sweep_outlives_a_broken_cell_and_finds_what_a_single_run_finds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    good, broken = "norm.layer._target_=torch.nn.BatchNorm2d", "breaking.Breaks"
    assert train("norm=custom", f"{good},{broken}", "-m") == 1
    out, err = capfd.readouterr()
    cause = "breaking.py:7: ZeroDivisionError: broken on purpose\n"
    assert f"norm.layer._target_=breaking.Breaks: failed: {cause}" in err
    assert err.endswith("normexp: 1 of 2 runs failed; the same command tries again\n")
    [failed] = [entry for entry in catalogue(Path("outputs")) if entry.state == "failed"]
    assert "Traceback" in (failed.folder.path / "console.log").read_text()
    assert str(failed.folder.path) in out

    assert train("norm=custom", good, "runtime.outputs=alone") == 0
    assert results("alone") == results("outputs")

    # Once more, with a cell that is asked for twice.
    capfd.readouterr()
    assert train("norm=custom", f"{good},torch.nn.BatchNorm2d", "study=late", "-m") == 0
    assert capfd.readouterr().err == "1 run in 1 cell: 1 finished\n"
    [finished] = [entry for entry in catalogue(Path("outputs")) if entry.result]
    assert finished.record.studies == ("late",)
    assert shlex.split(finished.record.command)[2:] == [*SMALL, "norm=custom", good]


@pytest.mark.skipif(not can_fork(), reason="this system's processes are not forked")
def test_a_sweep_reads_its_images_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def noted(settings: Settings) -> None:
        read.append(settings["data"]["source"]["num_train"])
        keep_images(settings)

    keep_images = launcher.keep_images
    monkeypatch.setattr(launcher, "keep_images", noted)
    assert train("seed=0,1", "epochs=1", "-m") == 0
    assert read == [200]


@pytest.mark.parametrize(
    ("grid", "line"),
    [
        ("batch_size=4,-4", "batch_size=-4: a whole number of 1 or more is needed"),
        ("norm=batch,bach", "norm=bach: there is no such choice; did you mean batch?"),
        ("optimizer.rl=1,2", "there is no setting 'optimizer.rl'; there are: name, lr, "),
        ("runtime.jobs=0", "runtime.jobs=0: a whole number of 1 or more or null is needed"),
    ],
)
def test_a_bad_cell_is_one_line_before_anything_starts(
    grid: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(grid, "seed=0,1", "-m") == 1
    out, err = capfd.readouterr()
    assert err.startswith(f"normexp: {line}")
    assert err.count("\n") == 1
    assert out == ""
    assert not Path("outputs/runs").exists()


def test_the_check_finds_a_norm_that_cannot_work_and_a_file_that_is_not_there(
    compose: Compose,
) -> None:
    def problem(*overrides: str) -> str | None:
        spec, runtime = build.run_spec(compose(*SMALL, *overrides))
        return child.problem(to_plain(spec), to_plain(runtime))

    assert problem() is None
    narrow = problem("norm=group", "norm.layer.num_groups=16")
    assert narrow is not None
    assert narrow.startswith("norm=group, model=cnn: ")
    assert problem("batch_size=500") is not None
    missing = problem("norm=custom", "norm.layer._target_=not_there.Norm")
    assert missing is not None
    assert "not_there" in missing


def test_a_label_says_what_tells_cells_apart() -> None:
    grid = [["a=1", "norm=batch", "seed=0"], ["a=1", "norm=batch", "seed=1"]]
    assert labels(grid) == ["seed=0", "seed=1"]
