"""The files of `conf/` as text: choices, defaults and words of help. Standard library only.

Hydra composes settings. This reads the same files in milliseconds, with their comments, for the
help and for the completion of a shell.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from normexp.settings import OF_MANY_PARTS, PARTS, RUN

GROUPS = (*PARTS, "experiment", "scale", "hydra/launcher")  # what is chosen by the name of a file

KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<value>.*)")
DEFAULT = re.compile(r" *- (?:override /?)?([\w/]+): *(\w+)")

BASE = re.compile(r"  - (?!_self_)(\w+)$")


@dataclass(frozen=True)
class Line:
    """A setting in a file."""

    key: str  # dotted, below the file
    value: str  # as it is written
    words: str  # the comment behind it, or above it


@dataclass(frozen=True)
class Shipped:
    """A file of `conf/`."""

    words: tuple[str, ...]  # the lines of the comment at its top
    lines: tuple[Line, ...]  # the settings that it gives, without those of Hydra
    defaults: dict[str, str]  # the choice of each group
    bases: tuple[str, ...]  # the files of the same folder that it goes on from


def conf_dir() -> Path:
    """Return the folder of the shipped settings: in the package (wheel) or beside it (clone)."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def choices(group: str, own: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the file of each choice of a group, in `conf/` and in folders of one's `own`."""
    folders = [conf_dir(), *own]
    return {
        file.stem: file for folder in folders for file in sorted((folder / group).glob("*.yaml"))
    }


@cache
def shipped(file: Path) -> Shipped:
    """Return what a file says; raises OSError where it cannot be read."""
    text = file.read_text(encoding="utf-8").splitlines()
    first = next((i for i, line in enumerate(text) if not line.startswith("#")), len(text))
    words = [line.removeprefix("#").strip() for line in text[:first]]
    return Shipped(
        tuple(line for line in words if not line.startswith("@package")),
        tuple(line for line in _lines(text[first:]) if not line.key.startswith("hydra")),
        dict(match.groups() for line in text if (match := DEFAULT.match(line))),  # type: ignore[misc]
        tuple(match[1] for line in text if (match := BASE.match(line))),
    )


def _lines(text: Sequence[str]) -> Iterator[Line]:
    """Yield the keys that have a value, not those that hold others."""
    groups: list[tuple[int, str]] = []
    above = ""
    for line in text:
        code, _, comment = line.partition("#")
        if not code.strip():
            above = f"{above} {comment.strip()}".strip() if comment else ""
            continue
        match = KEY.match(code)
        if not match:
            continue
        indent, value = len(match["indent"]), match["value"].strip()
        groups = [group for group in groups if group[0] < indent]
        if value:
            key = ".".join([*(name for _, name in groups), match["key"]])
            yield Line(key, value, comment.strip() or above)
        else:
            groups.append((indent, match["key"]))


def own_words(group: str, of: Shipped) -> dict[str, str]:
    """Return the words on the settings that a part has for itself, by key."""
    table = {setting.key for setting in RUN}
    found = {}
    for line in of.lines if group in (*PARTS, "hydra/launcher") else ():
        key = f"{prefix(group)}.{line.key}"
        is_passed_on = line.key.rpartition(".")[2].startswith("_") or "${" in line.value
        if key not in table and not is_passed_on:
            shared = (text for end, text in OF_MANY_PARTS.items() if key.endswith(f".{end}"))
            found[key] = line.words or next(shared, "")
    return found


def defaults(of: Shipped) -> dict[str, str]:
    """Return the values that a command's file gives, and the file that it goes on from."""
    base = [defaults(shipped(conf_dir() / f"{name}.yaml")) for name in of.bases]
    return {key: value for each in base for key, value in each.items()} | {
        line.key: readable(line.value) for line in of.lines
    }


def prefixed(group: str, of: Shipped) -> dict[str, str]:
    """Return the values of a choice by the keys that they are typed by."""
    return {f"{prefix(group)}.{line.key}": readable(line.value) for line in of.lines}


def prefix(group: str) -> str:
    """Return what stands before the settings of a group."""
    return group.replace("/", ".")


def readable(value: str) -> str:
    """Return a value with what it refers to as a person says it."""
    value = re.sub(r"\$\{oc\.env:\w+,'(.*)'\}", r"\1", value)
    return re.sub(r"\$\{([\w.]+)\}", r"<\1>", value)


FOLDER_FLAGS = ("--config-dir", "-cd", "--config-path", "-cp")
"""Of Hydra, for folders of settings."""


def own_folders(typed: Sequence[str]) -> list[Path]:
    """Return the folders of one's own that Hydra's flags name."""
    folders = []
    for each, following in zip(typed, [*typed, ""][1:], strict=True):
        flag, sign, value = each.partition("=")
        if flag in FOLDER_FLAGS:
            folders.append(Path(value if sign else following).expanduser())
    return folders
