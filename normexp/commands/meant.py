"""Values of an experiment's file that are meant for another choice than the one that is typed.

`experiment=mine optimizer=adamw`, where mine.yaml gives a learning rate for SGD: the rate does not
outlive SGD. In the shipped experiments `scale/` sees to that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from normexp.commands.quoting import refuse_lists
from normexp.errors import UserError
from normexp.settings import PARTS
from normexp.shipped import own_folders

Plain = dict[str, object]
NAMES = "-_./"


def as_meant(arguments: Sequence[str], conf: str) -> list[str]:
    """Return the arguments of a training with those that take such values back, and say so.

    Raises UserError where a list is given in the place of a choice, and where a sweep has several
    choices for not all of which such a value is meant.
    """
    refuse_lists(arguments)
    overrides, lines = meant_for_others(arguments, conf)
    for line in lines:
        print(line, file=sys.stderr)
    return [*arguments, *overrides]


def meant_for_others(arguments: Sequence[str], conf: str) -> tuple[list[str], list[str]]:
    """Return overrides that take such values back, and a line on each; `conf` is the shipped one.

    A value takes the one of the choice's own file, and goes where that has none and the file of
    the choice that was meant has. What is typed, and what no file of a choice has, stays.
    """
    typed = dict(each.split("=", 1) for each in arguments if "=" in each and each[0] != "-")
    name = typed.get("experiment", "")
    folders = [Path(conf), *own_folders(arguments)]
    experiment = _read(folders, "experiment", name)
    meant = {**_choices(_read(folders, "", "train")), **_choices(experiment)}
    overrides, lines = [], []
    for group in sorted({*PARTS} & typed.keys() & experiment.keys()):
        choice = typed[group]
        if "," in choice:
            _refuse_several(arguments, conf, group, [*map(str.strip, choice.split(","))])
        if choice == meant.get(group) or not _is_name(choice):
            continue
        own, other = (dict(_leaves(_read(folders, group, c))) for c in (choice, meant.get(group)))
        for key, value in _leaves(experiment[group]):
            dotted = f"{group}.{key}"
            if key not in {**own, **other} or own.get(key, ...) == value or dotted in typed:
                continue
            overrides.append(f"{dotted}={_as_typed(own[key])}" if key in own else f"~{dotted}")
            what = f"{_as_typed(own[key])} as of {group}={choice}" if key in own else "left out"
            lines.append(
                f"{dotted}={value} of experiment={name} is meant for {group}={meant.get(group)}; "
                f"it is {what}; {dotted}=... gives another"
            )
    return overrides, lines


def _refuse_several(
    arguments: Sequence[str], conf: str, group: str, choices: Sequence[str]
) -> None:
    """Raise UserError where a value of the experiment is not meant for each of several choices."""
    others = [each for each in arguments if not each.startswith(f"{group}=")]
    for choice in choices:
        _, lines = meant_for_others([*others, f"{group}={choice}"], conf)
        if lines:
            raise UserError(f"{group}={','.join(choices)}: {lines[0]}; type each {group} alone")


def _is_name(choice: object) -> bool:
    return isinstance(choice, str) and all(c.isalnum() or c in NAMES for c in choice)


def _read(folders: Sequence[Path], group: str, name: object) -> Plain:
    """Return what the file of a choice says; nothing where there is none: Hydra tells of it."""
    for folder in folders if _is_name(name) and name else ():
        try:
            found = OmegaConf.to_container(OmegaConf.load(folder / group / f"{name}.yaml"))
        except (OSError, YAMLError, OmegaConfBaseException, ValueError):
            continue
        return {str(k): v for k, v in found.items()} if isinstance(found, dict) else {}
    return {}


def _choices(content: Mapping[str, object]) -> dict[str, object]:
    """Return what a file's list of defaults chooses, by group."""
    defaults = content.get("defaults")
    found: dict[str, object] = {}
    for each in defaults if isinstance(defaults, list) else ():
        for key, choice in each.items() if isinstance(each, dict) else ():
            found[str(key).removeprefix("override ").strip().lstrip("/")] = choice
    return found


def _leaves(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_typed(value: object) -> str:
    """Return a value as Hydra's grammar has it; a reference stands as it is."""
    if isinstance(value, str):
        return value if "${" in value else "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)
