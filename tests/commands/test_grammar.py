"""What Hydra's grammar allows, and is seldom meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.typed import SMALL, normexp
from yaml import safe_load  # type: ignore[import-untyped]

from normexp import build
from normexp.commands.meant import meant_for_others


def settings(folder: Path, *arguments: str) -> dict[str, dict[str, object]]:
    """The settings of a training, as `--cfg job` shows them."""
    answer = normexp(folder, "train", *arguments, "--cfg", "job")
    assert answer.code == 0, answer.err
    return dict(safe_load(answer.out))


@pytest.mark.parametrize(
    ("experiment", "group", "choice"),
    [
        ("quickstart", "optimizer", "adamw"),
        ("quickstart", "optimizer", "muon"),
        ("quickstart", "data", "cifar10"),
        ("quickstart", "model", "resnet20"),
        ("contrast", "optimizer", "adamw"),
        ("contrast", "data", "cifar10"),
        ("contrast", "model", "resnet18"),
    ],
)
def test_a_value_of_an_experiment_does_not_outlive_its_choice(
    tmp_path: Path, experiment: str, group: str, choice: str
) -> None:
    own = settings(tmp_path, f"{group}={choice}")[group]
    within = settings(tmp_path, f"experiment={experiment}", f"{group}={choice}")[group]
    assert {**within, "limit": None} == {**own, "limit": None}  # a study's number of images


def test_a_scale_has_values_for_the_network_that_is_chosen(tmp_path: Path) -> None:
    found = settings(tmp_path, "experiment=contrast", "model=resnet20")["model"]["network"]
    assert found["width"] == 8  # type: ignore[index]
    assert "widths" not in found  # type: ignore[operator]


def test_the_quickstart_has_its_own_values_where_nothing_is_chosen(tmp_path: Path) -> None:
    found = settings(tmp_path, "experiment=quickstart")
    assert found["optimizer"]["lr"] == 0.4
    assert found["data"]["source"]["num_train"] == 4000  # type: ignore[index]
    assert found["model"]["network"]["widths"] == [16, 32, 32, 64, 64, 64]  # type: ignore[index]


def test_a_typed_value_comes_last(tmp_path: Path) -> None:
    found = settings(tmp_path, "experiment=quickstart", "optimizer.lr=0.1")
    assert found["optimizer"]["lr"] == 0.1


def test_a_list_for_a_group_trains_nothing(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", *SMALL, "norm=[group,layer]")
    assert answer.code == 1
    assert "normexp train -m norm=group,layer" in answer.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    "moved", [("hydra.job.chdir=true",), ("hydra.job.chdir=true", "hydra.run.dir=elsewhere")]
)
def test_hydras_folders_do_not_move_results(tmp_path: Path, moved: tuple[str, ...]) -> None:
    answer = normexp(tmp_path, "train", *SMALL, "steps=1", "study=my-study", *moved)
    assert answer.code == 0, answer.err
    assert (tmp_path / answer.out.split()[-1] / "result.json").exists()
    assert [file.parts[-4] for file in tmp_path.rglob("result.json")] == ["outputs"]


@pytest.mark.parametrize("study", ["..", ".hidden", "-m", "a/b"])
def test_a_study_is_no_path_and_no_flag(tmp_path: Path, study: str) -> None:
    answer = normexp(tmp_path, "train", *SMALL, f"study={study}")
    assert answer.code == 1
    assert "study" in answer.err


MINE = """
# @package _global_
defaults:
  - override /data: generated
optimizer: {lr: 0.4, algorithm: {momentum: 0.5}}
data: {limit: 50, source: {num_train: 77}}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with an experiment of the user's own, for SGD and drawn images."""
    (tmp_path / "my/experiment").mkdir(parents=True)
    (tmp_path / "my/experiment/mine.yaml").write_text(MINE.strip())
    return tmp_path


def test_a_sweep_over_choices_is_refused_where_such_a_value_is_meant_for_one(mine: Path) -> None:
    own = ("--config-dir=my", "experiment=mine")
    answer = normexp(mine, "train", "-m", *own, "optimizer=sgd,adamw", "--cfg", "job")
    assert answer.code == 1
    assert "optimizer=sgd,adamw: optimizer.lr=0.4 of experiment=mine is meant for" in answer.err
    assert answer.err.endswith("type each optimizer alone\n")
    typed = ("optimizer.lr=0.4", "optimizer.algorithm.momentum=0.9")
    assert meant_for_others([*own, "optimizer=sgd,sgd", *typed], build.conf_dir()) == ([], [])


def test_nor_does_one_of_a_users_own_experiment(mine: Path) -> None:
    own = ("--config-dir=my", "experiment=mine")
    assert settings(mine, *own)["optimizer"]["lr"] == 0.4
    assert settings(mine, *own, "optimizer=sgd")["optimizer"]["lr"] == 0.4
    adamw = settings(mine, "optimizer=adamw")["optimizer"]
    answer = normexp(mine, "train", *own, "optimizer=adamw", "--cfg", "job")
    assert dict(safe_load(answer.out))["optimizer"] == adamw
    assert "optimizer.lr=0.4 of experiment=mine is meant for optimizer=sgd" in answer.err
    assert settings(mine, *own, "optimizer=adamw", "optimizer.lr=0.3")["optimizer"]["lr"] == 0.3
    data = settings(mine, *own, "data=cifar10")["data"]
    assert (data["limit"], data["source"].get("num_train")) == (50, None)  # type: ignore[attr-defined]


def test_the_shipped_experiments_need_no_such_line() -> None:
    conf = build.conf_dir()
    for file in Path(conf, "experiment").glob("*.yaml"):
        for choice in ("optimizer=adamw", "data=cifar10", "data=generated"):
            assert meant_for_others([f"experiment={file.stem}", choice], conf) == ([], [])
