"""Real sweeps: `normexp train -m` with processes that train."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from helpers.stand_in import Compose
from helpers.typed import Answer, normexp

from normexp import build, cli
from normexp.commands import child
from normexp.runs.catalogue import Entry, catalogue
from normexp.runs.plain import to_plain
from normexp.runs.spec import Settings
from normexp.sweep import sweep
from normexp.sweep.cell import labels
from normexp.sweep.fork import can_fork, share_images

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
# One trains; the other passes the check, which takes no gradients.
OWN_NORMS = """
from torch import nn

class Mine(nn.BatchNorm2d): ...

class Breaks(nn.BatchNorm2d):
    def forward(self, x):
        if x.requires_grad:
            raise ZeroDivisionError("broken on purpose")
        return super().forward(x)
"""
MINE, BREAKS = "norm.layer._target_=own_norms.Mine", "own_norms.Breaks"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@dataclass(frozen=True)
class Swept:
    folder: Path
    answer: Answer
    read: list[int]
    """The number of training images, each time that a data set was read."""

    def entries(self, outputs: str = "outputs") -> dict[str, Entry]:
        """The runs by state."""
        return {entry.state: entry for entry in catalogue(self.folder / outputs)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep over two norms of one's own, one of which breaks."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "own_norms.py").write_text(OWN_NORMS)
    read: list[int] = []

    def noted(settings: Iterable[Settings], keep: Callable[[Settings], object]) -> None:
        def keep_noted(each: Settings) -> None:
            read.append(each["data"]["source"]["num_train"])
            keep(each)

        share_images(settings, keep_noted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "share_images", noted)
        answer = normexp(folder, "train", *SMALL, "norm=custom", f"{MINE},{BREAKS}", "-m")
    return Swept(folder, answer, read)


def test_a_sweep_outlives_a_broken_cell(swept: Swept) -> None:
    assert swept.answer.code == 1
    cause = "own_norms.py:9: ZeroDivisionError: broken on purpose\n"
    assert f"norm.layer._target_={BREAKS}: failed: {cause}" in swept.answer.err
    last = "normexp: 1 of 2 runs failed; the same command tries again\n"
    assert swept.answer.err.endswith(last)
    failed = swept.entries()["failed"]
    assert "Traceback" in failed.folder.console.read_text()
    assert str(failed.folder.path.relative_to(swept.folder)) in swept.answer.out
    assert {file.name for file in (swept.folder / "outputs").iterdir()} == {"runs", "looks.json"}


@pytest.mark.skipif(not can_fork(), reason="this system's processes are not forked")
def test_a_sweep_reads_its_images_once(swept: Swept) -> None:
    assert swept.read == [200]


def test_a_sweep_finds_what_a_single_run_finds(swept: Swept) -> None:
    alone = ("norm=custom", MINE, "runtime.outputs=alone")
    assert normexp(swept.folder, "train", *SMALL, *alone).code == 0
    one, other = (swept.entries(place)["finished"].result for place in ("alone", "outputs"))
    assert one is not None
    assert other is not None
    assert replace(one, timing=other.timing) == other


def test_a_cell_that_is_asked_for_twice_and_finished_joins_the_study(swept: Swept) -> None:
    twice = ("norm=custom", f"{MINE},own_norms.Mine", "study=late", "-m")
    assert normexp(swept.folder, "train", *SMALL, *twice).err == "1 run in 1 cell: 1 finished\n"
    record = swept.entries()["finished"].record
    assert record.studies == ("late",)
    assert [*record.spec.source] == ["own_norms"]
    assert shlex.split(record.command)[2:] == [*SMALL, "norm=custom", MINE]


@pytest.mark.parametrize(
    ("grid", "line"),
    [
        ("batch_size=4,-4", "batch_size=-4: a whole number of 1 or more is needed"),
        ("norm=batch,bach", "norm=bach: there is no such choice; did you mean batch?"),
        ("optimizer.rl=1,2", "there is no setting 'optimizer.rl'; there are: name, lr, "),
        ("runtime.jobs=0", "runtime.jobs=0: a whole number from 1 to 10000 or null is needed"),
    ],
)
def test_a_bad_cell_is_one_line_before_anything_starts(
    grid: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["train", *SMALL, grid, "seed=0,1", "-m"]) == 1
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
