"""What is typed as other programs have it is answered with what to type."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.typed import normexp

from normexp.commands.mistyped import refuse_mistyped, spelled
from normexp.errors import UserError


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("train lr=0.1", "did you mean optimizer.lr=0.1?"),
        ("train momentum=0.5", "norm.layer.momentum=0.5 or optimizer.algorithm.momentum=0.5"),
        ("tune -norm batch", "-norm: settings are typed without -: norm=batch"),
        ("train norm = batch", "without spaces: norm=batch"),
        ("runs norm= batch", "without spaces: norm=batch"),
        ("train seed=1 norm =batch", "without spaces: norm=batch"),
        ("train data=cifar100", "data=torchvision data.source.dataset=CIFAR100"),
        ("train model=resnet50", "model=timm model.network.model_name=resnet50"),
        ("train norm=mynorms.Halved", "norm=custom norm.layer._target_=mynorms.Halved"),
        ("train data=mydata.stripes", "data=custom data.source._target_=mydata.stripes"),
        ("train contrast=mine.Dark", "contrast=custom contrast.augmentation._target_=mine.Dark"),
        ("train -m norm=batch,my.own.Halved", "norm=custom norm.layer._target_=my.own.Halved"),
        ("train model=mynets.Mine", "model=custom model.network._target_=mynets.Mine"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_what_to_type(typed: str, remedy: str) -> None:
    word, *arguments = typed.split()
    with pytest.raises(UserError) as caught:
        refuse_mistyped(word, arguments)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    [
        "train norm=batch data=cifar10 model=resnet20 optimizer.lr=0.1 epochs=3",
        "train -m norm=batch,instance seed=0,1 +model.network.width=3 ~data.source.seed",
        "train study= --config-dir conf -cd conf --cfg job",
        "train norm=btach model=resnet2 data=cifar",  # Hydra says what is near
        "train model=sub/net norm=null",
        "runs lr=0.1 columns=norm sort=-accuracy",
        "probe norm=all",
        "evaluate run=cnn-* model.network._target_=mynets.Mine",
    ],
)
def test_what_may_be_meant_is_let_through(typed: str) -> None:
    word, *arguments = typed.split()
    refuse_mistyped(word, arguments)


def test_a_choice_of_a_folder_of_ones_own_is_one(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "resnet50.yaml").touch()
    refuse_mistyped("train", ["model=resnet50", f"--config-dir={tmp_path}"])


def test_the_folder_of_runs_has_one_name_for_all_commands(tmp_path: Path) -> None:
    make_study(tmp_path / "mine", ("batch", "both"), (8,), 2, lambda *_: 0.5)
    told = {normexp(tmp_path, "runs", f"{key}=mine").out for key in ("outputs", "runtime.outputs")}
    assert len(told) == 1
    assert normexp(tmp_path, "report", "outputs=mine").code == 0
    assert list(tmp_path.glob("mine/report*/**/index.html"))
    assert spelled("train", ["outputs=a", "norm=b"]) == ["runtime.outputs=a", "norm=b"]


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("norm=instnace", "did you mean instance?"),
        ("batch_size=9", "there are: 8"),
        ("study=mad", "did you mean made?"),
        ("nrom=batch", "did you mean norm?"),
    ],
)
def test_a_filter_that_no_run_fits_names_the_values_that_runs_have(
    typed: str, hint: str, tmp_path: Path
) -> None:
    make_study(tmp_path / "outputs", ("batch", "instance"), (8,), 1, lambda *_: 0.5)
    answer = normexp(tmp_path, "runs", typed)
    assert answer.code == 1
    assert hint in answer.err


def test_of_many_runs_a_few_are_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "outputs", 0.5)
    for i in range(20):
        shutil.copytree(folder.path, folder.path.with_name(f"{folder.name}{i}"))
    answer = normexp(tmp_path, "evaluate", "run=resnet-foo")
    assert answer.err.count(folder.name) == 3
    assert "and 18 more" in answer.err
