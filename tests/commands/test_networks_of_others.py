"""A network of the user's own: trained, evaluated by its weights alone, recalibrated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from helpers.typed import Answer, normexp, write_module
from torch import nn

from normexp import build, load, tensors
from normexp.errors import UserError
from normexp.models.others import load_weights, state_dict
from normexp.runs.folder import RunFolder

OWN = """\
from torch import nn

def small(num_classes, width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(4),
        nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes),
    )
"""
DEFAULT = """\
from functools import partial
from torch import nn

def small(num_classes, norm_layer=partial(nn.BatchNorm2d, eps=0.1), hard=False):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), norm_layer(8), nn.ReLU(), nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8) if hard else nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, num_classes),
    )

def grouped(num_classes, norm_layer=partial(nn.GroupNorm, 2)):
    return small(num_classes, norm_layer)
"""
NETWORK = "model.network._target_=own_network.small"
DATA = (
    "data=generated",
    "data.source.num_train=200",
    "data.source.num_test=50",
    "data.limit=50",
    "batch_size=9",
    "precision=fp32",
    "runtime.threads=1",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch, "own_network", OWN)
    return tmp_path


def right(home: Path, *arguments: str) -> str:
    answer: Answer = normexp(home, *arguments)
    assert answer.code == 0, answer.err
    return answer.out


def test_a_network_is_trained_looked_at_and_recalibrated(home: Path) -> None:
    right(home, "train", "model=custom", NETWORK, "norm=own", "steps=4", *DATA)
    (run,) = home.glob("outputs/runs/small-own-b9-none-s0-*")
    state = tensors.load(run / "weights.pt")
    for name in state:
        if name.endswith("running_mean"):
            state[name] = state[name] + 5
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, home / "state.pt")
    seen = right(home, "evaluate", NETWORK, "model.weights=state.pt", *DATA, "images=50")
    assert "precise of 9" in seen
    assert "cost:" not in seen  # nothing is trained
    assert any(line.startswith("At half the contrast") for line in seen.splitlines()[-5:])
    again = right(home, "evaluate", NETWORK, "model.weights=state.pt", *DATA, "images=50")
    assert "is evaluated already" in again

    told = right(home, "recalibrate", NETWORK, "model.weights=state.pt", *DATA, "batches=3")
    assert "2 layers recalibrated over 3 batches of 9" in told
    new = tensors.load(home / "state-recalibrated.pt")
    for name, value in state.items():
        assert torch.equal(new[name], value) != ("running" in name), name

    told = right(home, "recalibrate", f"run={run.name}", "batches=2", "trust=true")
    assert "2 layers recalibrated over 2 batches of 9" in told
    assert (run / "recalibrated.pt").exists()
    for file, of in (
        (run / "weights.pt", (f"run={run.name}", "trust=true")),
        (home / "state.pt", (NETWORK, "model.weights=state.pt", *DATA)),
    ):
        before = file.read_bytes()
        answer = normexp(home, "recalibrate", *of, "batches=2", f"to={file}")
        assert file.read_bytes() == before
        assert answer.code == 1
        assert "name another file" in answer.err


def test_pretrained_weights_are_tuned_further_with_another_norm(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right(home, "train", "model=custom", NETWORK, "norm=own", "steps=2", *DATA)
    (run,) = home.glob("outputs/runs/small-own-*")
    start = tensors.load(run / "weights.pt")
    weights = ("model=custom", NETWORK, f"model.weights={run}/weights.pt")
    right(home, "train", *weights, "norm=own", "epochs=0", "study=as_it_is", *DATA)
    (same,) = (r for r in home.glob("outputs/runs/small-own-*") if r != run)
    assert all(torch.equal(v, start[k]) for k, v in tensors.load(same / "weights.pt").items())

    frozen = ("model.freeze=[0.*,4.*]", "model.recalibrate=2", "steps=2")
    right(home, "train", *weights, "norm=group", "norm.layer.num_groups=2", *frozen, *DATA)
    (tuned,) = home.glob("outputs/runs/small-group-*")
    state = tensors.load(tuned / "weights.pt")
    for name in ("0.weight", "4.bias"):
        assert torch.equal(state[name], start[name])
    assert not torch.equal(state["1.weight"], start["1.weight"])
    assert "1.running_mean" not in state

    (run / "weights.pt").unlink()  # what it started from is in its own
    monkeypatch.chdir(home)
    assert load(tuned, trust=True).result == RunFolder(tuned).result()


def built(*typed: str) -> tuple[nn.Module, list[str]]:
    words = ("model=custom", "data=generated", "kernels=none", *typed)
    spec, _ = build.run_spec(build.composed(words))
    network, _, notes = build.built_network(spec, 3)
    return network, notes


@pytest.fixture
def with_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch, "own_default", DEFAULT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_the_default_of_norm_layer_is_the_norm_that_a_network_brings(with_default: Path) -> None:
    target = "model.network._target_=own_default"
    network, notes = built(f"{target}.small", "norm=own")
    assert network.get_submodule("1").eps == 0.1
    assert notes == []
    grouped, _ = built(f"{target}.grouped", "norm=own")
    assert isinstance(grouped.get_submodule("1"), nn.GroupNorm)
    torch.save(grouped.state_dict(), with_default / "state.pt")
    weights = (f"{target}.grouped", "model.weights=state.pt")
    again, _ = built(*weights, "norm=own")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in grouped.state_dict().items())
    _, notes = built(*weights, "norm=batch")
    assert "running statistics of 1 are not in the weights" in notes[0]


def test_a_norm_beside_norm_layer_is_replaced_too(with_default: Path) -> None:
    typed = ("model.network._target_=own_default.small", "+model.network.hard=true", "norm=group")
    network, _ = built(*typed)
    assert [type(network.get_submodule(i)).__name__ for i in ("1", "4")] == [
        "GroupNorm",
        "GroupNorm",
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("train model=custom", "model.network._target_ is not given"),
        ("train model=timm", "model.network.model_name is not given"),
        (f"train model=custom {NETWORK} model.weights=none.pt", "there is no such file"),
        (f"train model=custom {NETWORK} model.weights=own_network.py", "cannot be read as a state"),
        (f"train model=custom {NETWORK} model.freeze=conv", "fits no parameter, such as 0.weight"),
        (f"train model=custom {NETWORK} model.freeze=*", "leaves nothing to train"),
        (f"evaluate run=x {NETWORK}", "a run has its own settings"),
        (f"recalibrate {NETWORK}", "model.weights is not given"),
        (
            "train model=custom model.network._target_=torchvision.models.googlenet "
            "+model.network.init_weights=true norm=own",
            "it returns GoogLeNetOutputs, and logits (N, K) are needed",
        ),
        ("train model=cnn norm=own", "has no norm of its own at stage0.0.norm"),
        ("train model=timm model.network.model_name=nonet", "model.network: Unknown model (nonet)"),
        ("train norm=weight_std norm.conv.eps=abc", "(norm.conv.eps=abc)"),
        (
            "train norm=custom norm.layer._target_=own_network",
            "norm.layer: _target_=own_network is one word",
        ),
    ],
)
def test_a_mistake_is_told_in_a_line(typed: str, words: str, home: Path) -> None:
    command, *arguments = typed.split()
    answer = normexp(home, command, *arguments, *DATA, *(["steps=1"] * (command == "train")))
    assert answer.code == 1
    assert words in answer.err
    assert answer.err.count("\n") == 1


def test_timm_that_is_not_there_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    answer = normexp(home, "train", "model=timm", "model.network.model_name=resnet18", *DATA)
    assert "pip install timm" in answer.err


def test_weights_of_another_network_are_refused_and_those_of_another_head_left_out(
    tmp_path: Path,
) -> None:
    file = str(tmp_path / "state.pt")
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 7)).state_dict(), file)
    other = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 3))
    (note,) = load_weights(other, file, num_classes=3)
    assert "1.bias, 1.weight" in note
    assert torch.equal(other.get_parameter("0.weight"), state_dict(file)["0.weight"])
    with pytest.raises(Exception, match="0 of its 4 tensors are missing and 2 have another shape"):
        load_weights(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(5, 3)), file, num_classes=9)


def test_weights_of_a_network_without_running_statistics_are_told(tmp_path: Path) -> None:
    of_group = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
    torch.save(of_group.state_dict(), tmp_path / "state.pt")
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(UserError, match="has no running statistics, as of a network without batch"):
        load_weights(network, str(tmp_path / "state.pt"), num_classes=4)
