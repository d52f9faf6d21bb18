"""`normexp train` from the command line to the files it leaves."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.typed import SMALL, Answer, normexp, write_module
from omegaconf import DictConfig

from normexp import build

Compose = Callable[..., DictConfig]
Files = dict[Path, tuple[int, bytes]]

CONF = Path(build.conf_dir())


def run_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("outputs/runs/*"))


def run_folder(folder: Path) -> Path:
    (found,) = run_folders(folder)
    return found


def result_of(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((run_folder(folder) / "result.json").read_text())
    return result


def files(folder: Path) -> Files:
    """Every file below `folder` with the time of its last change and its content."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A folder in which `normexp train` was typed once."""
    folder = tmp_path_factory.mktemp("finished")
    answer = normexp(folder, "train", *SMALL)
    assert answer.code == 0, answer.err
    return folder, answer


# What a run leaves.


def test_a_run_leaves_what_was_asked_what_was_found_its_weights_curves_and_log(
    finished: tuple[Path, Answer],
) -> None:
    folder, _ = finished
    names = {re.sub(r"tfevents\..*", "tfevents", p.name) for p in run_folder(folder).iterdir()}
    assert names == {"run.json", "result.json", "weights.pt", "train.log", "events.out.tfevents"}
    assert {path.name for path in folder.iterdir()} == {"outputs"}
    assert {path.name for path in (folder / "outputs").iterdir()} == {"runs"}


def test_the_folder_is_named_by_the_settings(finished: tuple[Path, Answer]) -> None:
    name = run_folder(finished[0]).name
    assert re.fullmatch(r"cnn-batch-b9-none-s0-[0-9a-f]{8}", name)
    assert json.loads((run_folder(finished[0]) / "run.json").read_text())["name"] == name


def test_the_last_words_are_the_test_accuracy_and_the_folder(finished: tuple[Path, Answer]) -> None:
    folder, answer = finished
    accuracy = 100 * result_of(folder)["test"]["accuracy"]
    words, *_, path = answer.out.splitlines()
    assert words.startswith(f"test accuracy {accuracy:.1f} %")
    assert ", at contrast severity 1 to 5: " in words
    assert folder / path == run_folder(folder)


def test_run_json_holds_the_settings_and_a_command_that_does_the_same_run(
    finished: tuple[Path, Answer], tmp_path: Path
) -> None:
    asked = json.loads((run_folder(finished[0]) / "run.json").read_text())
    assert asked["settings"]["batch_size"] == 9
    assert asked["settings"]["model"]["network"]["widths"] == [8] * 6
    assert "runtime" not in asked["settings"]
    program, *arguments = shlex.split(asked["command"])
    assert program == "normexp"
    assert normexp(tmp_path, *arguments).code == 0
    assert run_folder(tmp_path).name == run_folder(finished[0]).name


def test_result_json_holds_a_row_an_epoch_and_the_test_on_every_contrast(
    finished: tuple[Path, Answer],
) -> None:
    result = result_of(finished[0])
    assert result["outcome"] == "finished"
    assert (result["steps"], result["images"]) == (8, 72)
    assert [(row["epoch"], row["step"], row["images"]) for row in result["history"]] == [
        (1, 4, 36),
        (2, 8, 72),
    ]
    assert list(result["test"]["contrast"]) == ["1", "2", "3", "4", "5"]
    assert len(result["classes"]) == 10
    assert result["timing"]["seconds"] == pytest.approx(sum(result["timing"]["epoch_seconds"]))


def test_the_weights_load_without_code_and_give_the_result_s_test_accuracy(
    finished: tuple[Path, Answer], compose: Compose
) -> None:
    folder, _ = finished
    weights = torch.load(run_folder(folder) / "weights.pt", weights_only=True)
    training, _ = build.training(*build.run_spec(compose(*SMALL)))
    network = training.state.network
    network.load_state_dict(weights)
    test = result_of(folder)["test"]
    score = training.evaluator.score(network, training.data.test)
    assert (score.loss, score.accuracy) == (test["loss"], test["accuracy"])
    assert training.evaluator.contrast_accuracy(network, training.data.test) == test["contrast"]


def test_the_log_tells_the_run_from_its_start_to_its_end(finished: tuple[Path, Answer]) -> None:
    folder, answer = finished
    start, *epochs, end = (run_folder(folder) / "train.log").read_text().splitlines()
    assert "36 training, 4 validation, 40 test images" in start
    assert "8 steps of 9; fp32 on cpu, 1 threads" in start
    assert ["epoch 1:" in epochs[0], "epoch 2:" in epochs[1]] == [True, True]
    assert end.endswith(answer.out.splitlines()[0])
    # Where there is no bar, the screen tells the same.
    assert [line.split(" ", 2)[2] for line in (start, *epochs)] == answer.err.splitlines()


# Typing it again.


def test_typing_it_again_shows_the_result_and_changes_no_file(
    finished: tuple[Path, Answer],
) -> None:
    folder, first = finished
    before = files(folder)
    again = normexp(folder, "train", *SMALL)
    assert (again.code, again.err) == (0, "")
    assert again.out == f"{run_folder(folder).name} is finished already\n{first.out}"
    assert files(folder) == before


def test_a_finished_run_is_shown_without_importing_torch(finished: tuple[Path, Answer]) -> None:
    folder, _ = finished
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "normexp", "train", *SMALL],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "is finished already" in done.stdout
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "hydra" in imported
    assert not imported & {"torch", "torchvision", "tensorboard", "numpy"}


@pytest.mark.parametrize(
    "overrides",
    [
        ("runtime.log_every=1", "runtime.checkpoint_seconds=1", "runtime.device=cpu"),
        ("runtime.threads=2", "runtime.cache_dir=elsewhere"),
        ("epochs=2.0", "seed=0"),
        ("steps=8", "epochs=5", "steps=null", "epochs=2"),
    ],
    ids=["rhythm", "places", "the_same_numbers", "the_last_word"],
)
def test_what_cannot_change_the_result_does_not_change_the_folder(
    overrides: tuple[str, ...], finished: tuple[Path, Answer]
) -> None:
    folder, _ = finished
    answer = normexp(folder, "train", *SMALL, *overrides)
    assert answer.code == 0
    assert "is finished already" in answer.out
    assert len(run_folders(folder)) == 1


# Budgets.


def test_a_budget_in_steps_replaces_the_epochs(tmp_path: Path) -> None:
    assert normexp(tmp_path, "train", *SMALL, "steps=3").code == 0
    assert result_of(tmp_path)["steps"] == 3
    # The epochs no longer count, in the name neither.
    again = normexp(tmp_path, "train", *SMALL, "steps=3", "epochs=77")
    assert "is finished already" in again.out


def test_a_limit_cuts_training_with_validation_and_test_images(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", *SMALL, "data.limit=20", "data.val_fraction=0.25")
    assert answer.err.startswith("15 training, 5 validation, 20 test images; ")
    # One step of 9 in 15 images an epoch; the other 6 are left out.
    assert result_of(tmp_path)["steps"] == 2


# A diverged run is a finding.


def test_a_run_whose_loss_explodes_has_a_result_and_is_counted(tmp_path: Path) -> None:
    overrides = (*SMALL, "norm=both", "optimizer.lr=1e30", "optimizer.warmup=0")
    answer = normexp(tmp_path, "train", *overrides)
    assert answer.code == 0
    assert "Traceback" not in answer.err
    result = result_of(tmp_path)
    assert (result["outcome"], result["test"]) == ("diverged", None)
    assert answer.out.startswith(f"diverged after {result['steps']} steps")
    assert not (run_folder(tmp_path) / "checkpoint.pt").exists()
    assert "diverged" in normexp(tmp_path, "runs").out
    again = normexp(tmp_path, "train", *overrides)
    assert (again.code, again.out.splitlines()[1:]) == (0, answer.out.splitlines())


# A grid.


def test_a_grid_leaves_a_folder_for_each_cell(tmp_path: Path) -> None:
    grid = ("-m", "norm=batch,none", "seed=0,1", "hydra/launcher=basic")
    answer = normexp(tmp_path, "train", *SMALL, "epochs=1", *grid)
    assert answer.code == 0, answer.err
    names = [re.sub(r"-[0-9a-f]{8}$", "", path.name) for path in run_folders(tmp_path)]
    expected = [f"cnn-{norm}-b9-none-s{seed}" for norm in ("batch", "none") for seed in (0, 1)]
    assert names == expected
    found = [json.loads((path / "result.json").read_text()) for path in run_folders(tmp_path)]
    assert len({result["history"][0]["train_loss"] for result in found}) == 4
    # A cell is the run that one would type by hand.
    alone = normexp(tmp_path, "train", *SMALL, "epochs=1", "norm=none", "seed=1")
    assert f"{run_folders(tmp_path)[-1].name} is finished already" in alone.out


def test_a_cell_that_fails_is_told_in_a_line_and_the_others_go_on(tmp_path: Path) -> None:
    grid = ("-m", "batch_size=0,5000,9", "hydra/launcher=basic")
    answer = normexp(tmp_path, "train", *SMALL, "epochs=1", *grid)
    assert answer.code == 1
    assert re.match(r"cnn-batch-b9-", run_folder(tmp_path).name)
    assert (run_folder(tmp_path) / "result.json").exists()
    told = [line for line in answer.err.splitlines() if line.startswith("normexp: ")]
    assert len(told) == 2
    for line, batch_size in zip(told, ("batch_size=0", "batch_size=5000"), strict=True):
        assert line.count(batch_size) == 2  # the mistake, and the cell
    assert "Traceback" not in answer.err
    assert "Error executing job" not in answer.err


# Every file of settings.


def conf_files() -> list[Any]:
    # What a file asks of the user.
    needs = {
        "model/custom": ("model.network._target_=custom",),
        "model/timm": ("model.network.model_name=timm",),
        "data/images": (f"data.root={CONF.as_posix()}",),
        "data/custom": ("data.source._target_=mine.custom",),
        "contrast/custom": ("contrast.augmentation._target_=mine.custom",),
    }
    found = []
    for path in sorted(CONF.glob("*/*.yaml")):
        choice = f"{path.parent.name}/{path.stem}"
        # `test_pairing.py` composes and builds every norm.
        if path.parent.name not in ("claims", "literature", "norm"):
            found.append(pytest.param(path, needs.get(choice, ()), id=choice))
    return found


@pytest.mark.parametrize(("path", "needed"), conf_files())
def test_every_file_of_settings_composes_to_a_valid_run(
    path: Path, needed: tuple[str, ...], compose: Compose
) -> None:
    group = path.parent.name
    spec, _ = build.run_spec(compose(f"{group}={path.stem}", *needed))
    if group not in ("experiment", "scale"):
        assert spec.settings[group]["name"] == path.stem
        assert path.stem in spec.name or group in ("data", "optimizer")


# Stopping and going on.

STOPPING = """\
import os, signal
from torch import nn

class Norm(nn.BatchNorm2d):
    def forward(self, x):
        if self.training and self.num_features == 9 and self.num_batches_tracked == 5:
            os.kill(os.getpid(), int(os.environ.get("STOP_WITH", 0)))
        return super().forward(x)
"""
STOPPED = (
    *SMALL,
    "model.network.widths=[9,8,8,8,8,8]",
    "norm=custom",
    "norm.layer._target_=stopping.Norm",
)


@pytest.fixture
def stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's own norm, which stops the process in its sixth step."""
    write_module(tmp_path, monkeypatch, "stopping", STOPPING)
    return tmp_path


def assert_stopped(code: int, err: str, number: signal.Signals, folder: Path) -> None:
    assert code == 128 + number
    last = err.splitlines()[-1]
    assert last == "normexp: stopped after step 6; the same command goes on from there"
    assert "Traceback" not in err
    assert (run_folder(folder) / "checkpoint.pt").exists()
    assert not (run_folder(folder) / "result.json").exists()


def assert_goes_on_to_the_same_end(folder: Path) -> None:
    answer = normexp(folder, "train", *STOPPED)
    assert answer.code == 0
    assert answer.err.startswith("going on after step 6\n")
    at_once = normexp(folder, "train", *STOPPED, "runtime.outputs=at_once")
    assert at_once.code == 0
    (one,) = folder.glob("at_once/runs/*/weights.pt")
    other = run_folder(folder) / "weights.pt"
    assert one.parent.name == other.parent.name
    assert one.read_bytes() == other.read_bytes()
    assert not (run_folder(folder) / "checkpoint.pt").exists()


def test_sigterm_ends_the_run_after_the_step_and_the_same_command_goes_on(
    stopping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("STOP_WITH", str(int(signal.SIGTERM)))
        answer = normexp(stopping, "train", *STOPPED)
    assert_stopped(answer.code, answer.err, signal.SIGTERM, stopping)
    assert_goes_on_to_the_same_end(stopping)


@pytest.mark.slow
def test_a_process_that_gets_sigint_can_be_gone_on_with_by_another(stopping: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "normexp", "train", *STOPPED],
        cwd=stopping,
        env={**os.environ, "STOP_WITH": str(int(signal.SIGINT))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert_stopped(done.returncode, done.stderr, signal.SIGINT, stopping)
    assert_goes_on_to_the_same_end(stopping)
