"""The command line: words, flags, and what a user is told of a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.typed import SMALL, normexp, write_module

from normexp import __version__
from normexp.cli import COMMANDS
from normexp.errors import UserError, one_line

# Words and flags.


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_command_or_for_help_the_commands_are_listed(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    answer = normexp(tmp_path, *arguments)
    assert (answer.code, answer.err) == (0, "")
    for command, what in COMMANDS.items():
        assert any(line.split(maxsplit=1) == [command, what] for line in answer.out.splitlines())
    assert f"version {__version__}" in answer.out


def test_the_help_imports_neither_torch_nor_hydra() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "normexp", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("normexp: ")
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "normexp.cli" in imported
    assert not imported & {"torch", "hydra", "omegaconf", "numpy"}


def test_the_version_is_printed_alone(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "--version")
    assert (answer.code, answer.out, answer.err) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("word", "hint"),
    [("trian", "did you mean train?"), ("xyz", "there are: " + ", ".join(COMMANDS))],
)
def test_an_unknown_command_is_told_with_a_hint(word: str, hint: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, word, "seed=1")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"normexp: no command '{word}'; {hint}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--cfg", "job", "seed=7", "norm=none"),
        ("seed=7", "norm=none", "--cfg", "job"),
        ("seed=7", "--cfg", "job", "norm=none"),
        ("seed=7", "--cfg=job", "norm=none"),
    ],
    ids=["before", "after", "between", "between_with_="],
)
def test_flags_may_stand_before_behind_and_between_the_settings(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    answer = normexp(tmp_path, "train", *arguments)
    assert (answer.code, answer.err) == (0, "")
    assert "seed: 7\n" in answer.out
    assert "name: none\n" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_behind_the_equals_sign_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    answer = normexp(tmp_path, "train", "--cfg", "job", "data=images", "data.root=~/pictures")
    assert "root: /home/ada/pictures\n" in answer.out


def test_a_setting_can_be_taken_away(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", "~data.source.seed", "data=generated", "--cfg", "job")
    assert answer.code == 0
    assert "num_train: 5000\n  " in answer.out
    assert "num_test: 1000\n    seed" not in answer.out


def test_a_norm_of_the_users_own_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "from torch import nn\n\nclass Own(nn.BatchNorm2d):\n    pass\n"
    write_module(tmp_path, monkeypatch, "ada", own)
    answer = normexp(
        tmp_path, "train", *SMALL, "steps=1", "norm=custom", "norm.layer._target_=ada.Own"
    )
    assert answer.code == 0, answer.err
    (folder,) = tmp_path.glob("outputs/runs/cnn-custom-*")
    assert (folder / "result.json").exists()


# A user's mistakes: what was typed behind the settings of a small run, then the value and the
# remedy that the one line must have.

MISTAKES = {
    "batch_size=0": ("batch_size=0", "a whole number of 1 or more"),
    "batch_size=abc": ("batch_size=abc", "a whole number of 1 or more"),
    "batch_size=1.5": ("batch_size=1.5", "a whole number of 1 or more"),
    "batch_size=": ("batch_size=", "a whole number of 1 or more"),
    "batch_size=5000": ("batch_size=5000", "36 training images", "smaller"),
    "epochs=-1": ("epochs=-1", "a whole number of 0 or more"),
    "optimizer.lr=nan": ("optimizer.lr=nan", "a number above 0"),
    "precision=fp8": ("precision=fp8", "auto, fp32, bf16"),
    "runtime.device=tpu": ("runtime.device=tpu", "auto, cpu or cuda"),
    "data.val_fraction=0": ("data.val_fraction=0", "above 0 and below 1"),
    "data.limit=2": ("data.val_fraction=0.1 of 2 training images", "at least one"),
    "data.crop=32": ("data.crop=32", "less than the images' 32 pixels"),
    # Choices and names.
    "norm=btach": ("norm=btach", "did you mean batch?"),
    "optimizer=rprop": ("optimizer=rprop", "there are: adamw, muon, sgd"),
    "typo=1": ("'typo'", "there are: seed, batch_size, "),
    "+typo=1": ("'typo'", "there are: seed, batch_size, "),
    "bacth_size=1": ("'bacth_size'", "did you mean batch_size?"),
    "optimizer.momentum=1": ("'optimizer.momentum'", "there are: name, lr, batch_exponent"),
    "optimizer.algorithm.momentun=1": (
        "'optimizer.algorithm.momentun'",
        "did you mean optimizer.algorithm.momentum?",
    ),
    "runtime.thread=1": ("'runtime.thread'", "did you mean runtime.threads?"),
    "+runtime.typo=1": ("'runtime.typo'", "there are: outputs, cache_dir"),
    "norm.name=a/b": ("norm.name=a/b", "letters, digits"),
    # Grammar.
    "norm=[": ("'norm=['", "quote"),
    "norm=a=b": ("'norm=a=b'", "quote"),
    "batch_size": ("'batch_size'", "key=value"),
    "seed=0,1": ("seed=0,1", "add -m"),
    "model=5": ("Config group override must be a string", "int"),
    "seed=${oops}": ("'oops' not found",),
    # Parts that cannot be made, or do not fit.
    "norm=custom": ("norm.layer._target_ is not given", "norm.layer._target_="),
    "norm.layer._target_=nosuch.Module": ("norm.layer: ", "'nosuch.Module'", "installed?"),
    "norm.layer._target_=torch.nn.Nosuch": ("norm.layer: ", "'torch.nn.Nosuch'", "in the folder"),
    "norm.layer.eps=abc": ("norm=batch", "layer stage0.0.norm", "'str'"),
    "+optimizer.algorithm.typo=1": ("optimizer=sgd", "'typo'"),
    "+optimizer.algorithm.weight_decay=0.1": ("optimizer.weight_decay is it",),
    "optimizer.algorithm.momentum=-1": ("optimizer=sgd", "momentum value: -1"),
    "model.network._target_=torch.nn.Identity": ("the network has no norm", "norm_layer"),
    "model.network._target_=torch.nn.Conv2d": ("model.network: Conv2d", "num_classes"),
    "model.network.widths=[8]": ("model.network.widths=[8]", "six widths"),
    "norm=group model.network.widths=[8,8,8,8,8,12]": (
        "norm=group",
        "num_groups=8 does not divide 12 channels",
        "(norm.layer.num_groups)",
    ),
    "data.source.num_train=15": ("num_train=15", "multiple of 10"),
    "data.source.num_train=abc": ("num_train=abc", "multiple of 10"),
    "data.source.seed=x": ("seed=x", "whole number"),
    "contrast=jitter contrast.augmentation.high=null": ("low=0.6, high=None", "is needed"),
    "data.standardise=image data.mean=[0,0,0] data.std=[1,1,1]": (
        "data.mean and data.std",
        "leave them out",
    ),
    "contrast=custom": ("contrast.augmentation._target_",),
    # Places.
    "runtime.outputs=a_file": ("File exists: ", "a_file", "runtime.outputs"),
    "runtime.outputs=a_file/below": ("Not a directory: ", "a_file/below", "runtime.outputs"),
    "runtime.outputs=/sys/normexp": ("/sys/normexp", "runtime.outputs", "written"),
}


def assert_one_line(err: str, parts: tuple[str, ...]) -> None:
    assert err.startswith("normexp: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    for part in parts:
        assert part in err


@pytest.mark.parametrize(("typed", "parts"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_line_with_the_value_and_the_remedy(
    typed: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "a_file").touch()
    answer = normexp(tmp_path, "train", *SMALL, *typed.split())
    assert answer.code == 1
    assert answer.out == ""
    assert_one_line(answer.err, parts)
    assert list(tmp_path.glob("outputs/runs/*")) == []


IMAGES = {
    "data=images": ("data.root is not given", "for example data.root="),
    "data=cifar10 data.root=null": ("data.root=null", "a folder is needed"),
    "data=custom": ("data.source._target_ is not given",),
    "data=images data.root=nosuch": ("data.root=nosuch", "there is no such folder", "train/"),
    "data=images data.root=empty": ("there is no folder", "empty/train", "<root>/train"),
}


@pytest.mark.parametrize(("typed", "parts"), IMAGES.items(), ids=IMAGES)
def test_images_that_are_not_there_are_told_in_a_line(
    typed: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    answer = normexp(tmp_path, "train", *typed.split())
    assert answer.code == 1
    assert_one_line(answer.err, parts)


def test_a_mistake_that_concerns_a_whole_grid_is_told_once(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", "-m", "norm=btach,batch", "seed=0,1")
    assert answer.code == 1
    assert_one_line(answer.err, ("norm=btach", "did you mean batch?"))


def test_a_grid_of_which_nothing_was_started_leaves_nothing(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", "-m", *SMALL, "batch_size=0,9")
    assert answer.code == 1
    assert "nothing was started" in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "report", "advise", "probe"])
def test_a_mistake_leaves_nothing_and_takes_no_folder_away(command: str, tmp_path: Path) -> None:
    wrong = {"train": "batch_size=0", "report": "study=nix", "advise": "batch_size=0"}
    assert normexp(tmp_path, command, wrong.get(command, "norm=nix")).code == 1
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_mistake_in_cells_of_a_grid_is_told_in_a_line_for_each(flag: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", "seed=3", flag, "batch_size=0,-1", "hydra/launcher=basic")
    assert answer.code == 1
    told = answer.err.splitlines(keepends=True)
    assert len(told) == 2
    for line, batch_size in zip(told, ("batch_size=0", "batch_size=-1"), strict=True):
        cell = f"(in the cell seed=3 {batch_size})"
        assert_one_line(line, (f"{batch_size}: a whole number of 1 or more is needed", cell))


# A fault: in a part of the user's own, or in normexp.

OWN = """\
from torch import nn

class Typo(nn.BatchNorm2d):
    def forward(self, x):
        return self.no_such_name(x)

class Refuses(nn.BatchNorm2d):
    def forward(self, x):
        raise ValueError("4 channels at least")

class Flat(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).mean(1)

class Signature(nn.Module):
    pass

def source():
    return open("no_such_file.csv")

def maker():
    return {}["the key"]

class Network(nn.Module):
    def __init__(self, norm_layer, num_classes):
        super().__init__()
        self.norm = norm_layer(3) + 1
"""
FAULTS = {
    "norm=custom norm.layer._target_=own_parts.Typo": ("own_parts.py:5: AttributeError: ",),
    "norm=custom norm.layer._target_=own_parts.Refuses": (
        "norm=custom, model=cnn: layer stage0.0.norm",
        "4 channels at least (own_parts.py:9)",
    ),
    "norm=custom norm.layer._target_=own_parts.Nine": (
        "norm.layer: own_parts.py has no Nine; it has Typo, Refuses, Flat, Signature,",
    ),
    "norm=custom norm.layer._target_=own_parts.Flat": (
        "norm=custom, model=cnn: layer stage0.0.norm (input [8, 8, 32, 32])",
        "it returns [8, 32, 32], and a norm keeps the shape",
    ),
    "norm=custom norm.layer._target_=own_parts.Signature": (
        "norm=custom",
        "the norm cannot stand at stage0.0.norm",
        "__init__() takes 1 positional argument",
    ),
    "model=own_parts data=generated": ("own_parts.py:27: TypeError: ",),
    "data=own_parts": ("own_parts.py:22: KeyError: 'the key'",),
    "data=own_parts data.source._target_=own_parts.source": (
        "own_parts.py:19: No such file or directory: no_such_file.csv",
    ),
    "data=own_parts +data.source.typo=1": ("data.source: ", "unexpected keyword argument 'typo'"),
    "contrast.augmentation._target_=own_parts.nothing": ("contrast.augmentation: ", "own_parts"),
}


@pytest.fixture
def own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(tmp_path, monkeypatch, "own_parts", OWN)
    for group, key, target in (("data", "source", "maker"), ("model", "network", "Network")):
        part = (
            f"{key}: {{_target_: own_parts.{target}, _partial_: {str(group == 'model').lower()}}}"
        )
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "own_parts.yaml").write_text(f"name: own\n{part}\n")


@pytest.mark.parametrize(("typed", "parts"), FAULTS.items(), ids=FAULTS)
def test_a_fault_in_a_part_of_one_s_own_is_a_line_with_its_place(
    typed: str, parts: tuple[str, ...], own_parts: None, tmp_path: Path
) -> None:
    small = () if "data=" in typed else SMALL
    answer = normexp(tmp_path, "train", "--config-dir=conf", *small, *typed.split())
    assert (answer.code, answer.out) == (1, "")
    assert_one_line(answer.err, parts)


def test_the_whole_traceback_is_shown_where_it_is_asked_for(
    own_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORMEXP_TRACEBACK", "1")
    typed = ("norm=custom", "norm.layer._target_=own_parts.Typo")
    answer = normexp(tmp_path, "train", *SMALL, *typed)
    assert answer.code == 1
    assert answer.err.startswith("Traceback (most recent call last):")
    assert "in forward\n    return self.no_such_name(x)" in answer.err
    *_, last = answer.err.splitlines()
    assert last.startswith("normexp: own_parts.py:5: AttributeError: ")


def test_a_fault_of_normexp_is_a_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("of a test")

    monkeypatch.setattr("normexp.commands.runs.read_runs", faulty)
    answer = normexp(tmp_path, "runs")
    assert answer.code == 1
    assert_one_line(answer.err, ("test_cli.py:", "RuntimeError: of a test"))


# The words for an error, apart from the command that raised it.


def raised(code: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        code()
    return caught.value


def test_a_file_that_cannot_be_written_is_named_and_the_setting_only_where_it_chose_it(
    tmp_path: Path,
) -> None:
    folders = {"runtime.outputs": str(tmp_path / "out"), "runtime.cache_dir": "~/cache"}
    inside = tmp_path / "out" / "runs" / "result.json"
    line = one_line(PermissionError(13, "Permission denied", str(inside)), folders)
    assert line.startswith(f"Permission denied: {inside}; runtime.outputs must be a folder ")
    assert "cache_dir" not in line
    in_cache = Path("~/cache").expanduser() / "images.pt"
    line = one_line(FileNotFoundError(2, "No such file", str(in_cache)), folders)
    assert "runtime.cache_dir must be" in line
    assert "runtime.outputs" not in line
    elsewhere = raised(lambda: (tmp_path / "mine.csv").read_text())
    line = one_line(elsewhere, folders)
    assert line.endswith(f"No such file or directory: {tmp_path / 'mine.csv'}")
    assert line.startswith("tests/test_cli.py:")


def test_a_full_disk_that_names_no_file_may_be_either_folder_s() -> None:
    folders = {"runtime.outputs": "outputs", "runtime.cache_dir": "cache"}
    line = one_line(OSError(28, "No space left on device"), folders)
    assert line.startswith("No space left on device; runtime.outputs and runtime.cache_dir must")


def test_what_is_not_known_to_be_the_user_s_has_its_type_and_its_place() -> None:
    line = one_line(raised(lambda: int("x")))
    assert line.startswith("tests/test_cli.py:")
    assert "ValueError: invalid literal for int()" in line
    assert one_line(UserError("seed=-1:\n0 or more")) == "seed=-1: 0 or more"


def test_the_place_of_a_chain_of_errors_is_that_of_the_first() -> None:
    def chain() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise RuntimeError("as told by json") from error

    error = raised(chain)
    assert "RuntimeError: as told by json" in one_line(error)
    lines = Path(__file__).read_text().splitlines()
    number = int(one_line(error).split(":")[1])
    assert lines[number - 1].strip() == 'json.loads("{")'
