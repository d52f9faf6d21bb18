"""What is typed as other programs have it, and what normexp has for it. Standard library only."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

from normexp.commands.help import every_key
from normexp.errors import UserError
from normexp.settings import COMMANDS, OUTPUTS
from normexp.shipped import GROUPS, choices, own_folders

KEYS = {each.key for table in COMMANDS.values() for each in table} | {*GROUPS}
TOP = {key.partition(".")[0] for key in KEYS} | {"hydra"}
OF_ONES_OWN = {
    "norm": "norm.layer._target_",
    "model": "model.network._target_",
    "data": "data.source._target_",
    "contrast": "contrast.augmentation._target_",
}
OTHERS = {
    "model": "model=timm model.network.model_name={0}, or model=custom "
    "model.network._target_=torchvision.models.{0}",
    "data": "data=torchvision data.source.dataset={1}, or of your own data=images data.root=...",
}
"""How to have a network or a data set, `{0}` or in capitals `{1}`, that is no choice."""


def spelled(word: str, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with its own name of the folder of runs."""
    names = ["outputs=", f"{OUTPUTS.key}="]
    other, own = names[::-1] if word == "runs" else names
    return [
        own + each.removeprefix(other) if each.startswith(other) else each for each in arguments
    ]


def at_home(argument: str) -> str:
    """Return an argument with the home folder for ~ behind its first sign.

    A shell does not expand it there, and Hydra's grammar has no ~ in a value.
    """
    return argument.replace("=~/", f"={Path.home()}/", 1)


def refuse_mistyped(word: str, arguments: Sequence[str]) -> None:
    """Raise UserError, with what to type, where the arguments of a command cannot be meant so."""
    _refuse_flags(arguments)
    _refuse_spaces(arguments)
    if word in (*COMMANDS, "tune"):
        for argument in arguments:
            _refuse_short(argument)
    if word in ("train", "tune"):
        for argument in arguments:
            _refuse_others(argument, arguments)


def _refuse_flags(arguments: Sequence[str]) -> None:
    """Settings as flags: --norm batch, -norm batch."""
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=False):
        key, _, given = flag.lstrip("-").replace("-", "_").partition("=")
        known = [key] * (key in KEYS) or [each for each in KEYS if each.endswith(f".{key}")]
        if flag.startswith("-") and len(known) == 1:
            dashes = flag[: len(flag) - len(flag.lstrip("-"))]
            typed = f"{known[0]}={given or value}"
            raise UserError(f"{flag}: settings are typed without {dashes}: {typed}")


def _refuse_spaces(arguments: Sequence[str]) -> None:
    """Spaces about the sign: norm = batch."""
    for i, (before, here) in enumerate(pairwise(arguments)):
        if before.startswith("-") or here.startswith("-"):
            continue
        is_apart = here.startswith("=") and "=" not in before
        is_behind = before.endswith("=") and "=" not in here
        if is_apart or is_behind:
            words = [before, here, *(arguments[i + 2 : i + 3] if here == "=" else [])]
            typed = "".join(words)
            raise UserError(f"'{' '.join(words)}': settings are typed without spaces: {typed}")


def _refuse_short(argument: str) -> None:
    """The last word of a setting alone: lr=0.1."""
    key, sign, value = argument.partition("=")
    if not sign or not re.fullmatch(r"[a-z_]+", key) or key in TOP:
        return
    if meant := [each for each in every_key() if each.endswith(f".{key}")]:
        nearest = sorted(meant, key=lambda each: each.count("."))[:2]
        typed = " or ".join(f"{each}={value}" for each in nearest)
        raise UserError(f"there is no setting '{key}'; did you mean {typed}?")


def _refuse_others(argument: str, arguments: Sequence[str]) -> None:
    """A class of one's own, or a well-known network or data set, as a choice."""
    group, _, values = argument.partition("=")
    if group not in (*OF_ONES_OWN, *OTHERS):
        return
    known = choices(group, own_folders(arguments))
    for choice in values.split(","):
        told = f"{argument}: there is no choice '{choice}'; "
        if not re.fullmatch(r"[A-Za-z][\w.]*", choice) or choice in (*known, "null"):
            continue
        if group in OF_ONES_OWN and re.fullmatch(r"\w+(\.\w+)+", choice):
            typed = f"{group}=custom {OF_ONES_OWN[group]}={choice}"
            raise UserError(f"{told}a part of your own is typed {typed}")
        # resnet50 is no slip of the finger for resnet20.
        near = get_close_matches(choice, known, n=1)
        if group in OTHERS and not any(_differ_in_letters(each, choice) for each in near):
            others = OTHERS[group].format(choice, choice.upper())
            raise UserError(f"{told}there are: {', '.join(known)}; others: {others}")


def _differ_in_letters(known: str, choice: str) -> bool:
    return known.startswith(choice) or re.sub(r"\D", "", known) == re.sub(r"\D", "", choice)
