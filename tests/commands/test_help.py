"""`normexp help`: every setting has its words, and they fit the screen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers.seconds import seconds_of
from helpers.typed import normexp

from normexp.commands.help import every_key, of_command, on
from normexp.errors import UserError
from normexp.settings import COMMANDS, RUN
from normexp.shipped import GROUPS, choices, conf_dir, own_words, shipped

FILES = [(group, file) for group in GROUPS for file in choices(group).values()]


@pytest.mark.parametrize(("group", "file"), FILES, ids=[f"{g}={f.stem}" for g, f in FILES])
def test_every_choice_and_every_setting_of_conf_has_its_words(group: str, file: Path) -> None:
    assert shipped(file).words
    assert [key for key, text in own_words(group, shipped(file)).items() if not text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_its_settings_and_fits_80_columns(command: str) -> None:
    lines = of_command(command).splitlines()
    assert max(map(len, lines)) <= 80
    named = (re.match(r"  ([a-z][\w./]*)(?:=|  |$)", line) for line in lines)
    shown = {match[1] for match in named if match}
    assert {setting.key for setting in COMMANDS[command]} <= shown
    others = {s.key for c in COMMANDS for s in COMMANDS[c]} - {s.key for s in COMMANDS[command]}
    assert not others & shown - {*GROUPS}


@pytest.mark.parametrize("typed", ["", *("tune", "runs", "completion")])
def test_the_other_helps_fit_80_columns(typed: str, tmp_path: Path) -> None:
    assert max(map(len, normexp(tmp_path, *typed.split(), "--help").out.splitlines())) <= 80


def test_a_setting_has_its_type_its_default_by_choice_and_the_rule_of_scaling() -> None:
    text = " ".join(on("optimizer.lr").split())
    assert "a number above 0" in text
    for default in ("0.2 with optimizer=sgd", "0.002 with optimizer=adamw"):
        assert default in text
    assert "lr × (images of a step / 128) ^ batch_exponent" in text
    assert on("lr") == on("optimizer.lr")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("model.after", "a word; the network checks it"),
        ("norm.layer.momentum", "a number; the norm checks it"),
        ("optimizer.algorithm.nesterov", "true or false; the optimizer checks it"),
        ("model.network.widths", "a list; the network checks it"),
    ],
)
def test_a_setting_of_a_part_of_its_own_has_its_type(key: str, kind: str) -> None:
    assert kind in " ".join(on(key).split())


def test_a_setting_that_several_commands_have_is_told_for_each() -> None:
    text = on("seed")
    assert all(f"normexp {command}" in text for command in ("train", "evaluate", "probe"))


def test_a_group_lists_its_choices_and_a_choice_its_own_settings() -> None:
    assert all(f"  {name} " in on("norm") for name in choices("norm"))
    assert "norm.layer.ghost_size=16" in on("norm=ghost")
    assert "ghost_size" not in on("norm=batch")


@pytest.mark.parametrize("what", [*every_key(), *GROUPS])
def test_whatever_can_be_typed_can_be_asked_for_within_80_columns(what: str) -> None:
    assert max(map(len, on(what).splitlines())) <= 80


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("optimizer.lrr", "did you mean optimizer.lr?"),
        ("norm=btach", "did you mean batch?"),
        ("instance", "normexp help norm=instance"),
        ("batch", "normexp help norm=batch; there is also batch_size"),
    ],
)
def test_what_is_not_there_is_answered_with_what_may_be_meant(what: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint.replace("?", r"\?")):
        on(what)


def test_the_choices_that_are_typed_are_those_that_are_told(tmp_path: Path) -> None:
    (tmp_path / "conf" / "norm").mkdir(parents=True)
    own = "# Half of it.\nname: halved\nlayer:\n  _target_: mine.Halved\n  by: 2  # divisor\n"
    (tmp_path / "conf" / "norm" / "halved.yaml").write_text(own)
    answer = normexp(tmp_path, "train", "norm=halved", "--config-dir", "conf", "--help")
    assert "norm.layer.by=2" in answer.out
    assert "optimizer.lr=0.07" in normexp(tmp_path, "train", "--help", "optimizer=muon").out


def test_the_files_are_read_as_they_are_written() -> None:
    of = shipped(conf_dir() / "train.yaml")
    values = {line.key: line.value for line in of.lines}
    assert values["batch_size"] == "128"
    assert values["runtime.log_every"] == "20"
    assert of.defaults["norm"] == "batch"
    batch = {line.key: line.value for line in shipped(choices("norm")["batch"]).lines}
    assert batch["layer.eps"] == "1e-5"
    assert {s.key for s in RUN if "." not in s.key} <= values.keys()


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        (("train", "--norm", "instance"), "norm=instance"),
        (("train", "--batch-size=4"), "batch_size=4"),
        (("train", "seed=1", "--lr", "0.1"), "optimizer.lr=0.1"),
        (("runs", "--norm", "batch"), "norm=batch"),
        (("list",), "normexp runs"),
    ],
)
def test_what_other_programs_would_take_is_answered_with_what_to_type(
    typed: tuple[str, ...], remedy: str, tmp_path: Path
) -> None:
    answer = normexp(tmp_path, *typed)
    assert answer.code == (2 if typed == ("list",) else 1)  # 2: no such command
    assert remedy in answer.err
    assert answer.err.count("\n") == 1


def test_help_answers_in_three_tenths_of_a_second_without_a_library() -> None:
    code = (
        "import sys; from normexp.cli import run; run(['train', '--help']); run(['help', 'norm']);"
        "sys.exit(bool({'hydra', 'omegaconf', 'torch', 'numpy'} & {*sys.modules}))"
    )
    assert seconds_of(sys.executable, "-c", code) < 0.6  # two helps, each under 0.3
