"""The table of settings is that of conf/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from normexp import build, kinds
from normexp.errors import UserError
from normexp.kinds import Number, typed
from normexp.settings import COMMANDS, Setting, checked

CONF = Path(build.conf_dir())
GROUPS = ("data", "model", "norm", "contrast", "optimizer")
OF_HYDRA = ("defaults", "hydra")


def keys_in(content: dict[str, Any], table: set[str], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a YAML file, down to those that the `table` has."""
    for key, value in content.items():
        if not prefix and key in OF_HYDRA:
            continue
        if isinstance(value, dict) and prefix + key not in table:
            yield from keys_in(value, table, f"{prefix}{key}.")
        else:
            yield prefix + key


def loaded(file: Path) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(OmegaConf.load(file))
    return {str(key): value for key, value in content.items()}


def shipped(command: str, table: set[str]) -> set[str]:
    """The keys that the files of a command give."""
    file = CONF / f"{command}.yaml"
    content = loaded(file)
    if "report" in content.get("defaults", ()):
        content |= loaded(CONF / "report.yaml")
    found = set(keys_in(content, table))
    groups = GROUPS if command == "train" else ("norm",) if command == "probe" else ()
    for group in groups:
        for choice in sorted((CONF / group).glob("*.yaml")):
            own = keys_in(loaded(choice), table, f"{group}.")
            found |= {key for key in own if command == "train"}
        if command != "train":
            found.add(group)
    return found


def names(command: str) -> set[str]:
    return {setting.key for setting in COMMANDS[command]}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_that_is_shipped_is_in_the_table_and_none_else(command: str) -> None:
    table = names(command)
    found = shipped(command, table)
    assert table - found == set()
    # A network may have settings of its own, which its class checks.
    assert {key for key in found - table if not key.startswith("model.")} == set()


def test_every_command_that_has_a_file_has_a_table() -> None:
    assert {file.stem for file in CONF.glob("*.yaml")} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_is_described_once(command: str) -> None:
    table = COMMANDS[command]
    assert len({setting.key for setting in table}) == len(table)
    for setting in table:
        assert setting.words.strip(), setting.key


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Number(whole=True, least=1), [1, 4.0, 10**9], [0, 1.5, "4", True, None, float("inf")]),
        (Number(least=0, below=1), [0, 0.999], [1, -0.1, float("nan")]),
        (Number(above=0, optional=True), [1e-9, None], [0, "much"]),
        (Number(least=0.5, most=0.999), [0.5, 0.999], [0.4, 1]),
        (kinds.Flag(), [True, False], [1, "true", None]),
        (kinds.Text(), ["a"], ["", None, 3]),
        (kinds.Text(optional=True), ["a", None], ["", 3]),
        (kinds.Text(numbers=True), ["a", "16"], ["", None, ["a"]]),
        (kinds.Name(), ["a.b_1", 2024], ["a b", "a/b", "a-b", "", None, True]),
        (kinds.Choice(("a", "b")), ["a"], ["c", None, 1]),
        (kinds.Numbers(Number(least=0)), [[], [0, 1.5]], [1, [-1], ["a"]]),
        (kinds.Part(), [{"_target_": "x"}], [None, "x"]),
    ],
)
def test_a_kind_takes_its_range_and_nothing_else(
    kind: kinds.Kind, good: list[object], bad: list[object]
) -> None:
    table = (Setting("group.key", kind, "for a test"),)
    for value in good:
        assert checked({"group": {"key": value}}, table)["group"]["key"] == (
            str(value) if isinstance(kind, kinds.Name) else value
        )
    for value in bad:
        with pytest.raises(UserError) as caught:
            checked({"group": {"key": value}}, table)
        message = str(caught.value)
        assert message.startswith(f"group.key={typed(value)}: ")
        assert " needed" in message


def test_values_are_shown_as_they_are_typed() -> None:
    values = [None, True, 0.1, 1e-9, 3, "a", [1, 0.5], 1 / 3]
    shown = ["null", "true", "0.1", "1e-09", "3", "a", "[1,0.5]", repr(1 / 3)]
    assert [typed(value) for value in values] == shown
