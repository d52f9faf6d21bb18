"""Settings that are given in Python, as they are typed on the command line."""

from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import Path

from normexp.commands.mistyped import OF_ONES_OWN, at_home, refuse_mistyped, spelled
from normexp.commands.quoting import quoted
from normexp.errors import UserError
from normexp.kinds import typed

GRIDS = ("batch_size", "epochs", "steps", "seed")
"""Numbers that grids are made of."""


def as_typed(overrides: Sequence[str], settings: Mapping[str, object]) -> list[str]:
    """Return the arguments of `normexp train`; raises UserError where it cannot be meant so."""
    if others := [each for each in overrides if not isinstance(each, str)]:
        raise UserError(f"{others[0]!r}: settings are texts, such as 'optimizer.lr=0.1'")
    given = spelled("train", [*overrides, *(_override(*each) for each in settings.items())])
    refuse_mistyped("train", given)
    if flags := [each for each in given if each.startswith("-")]:
        raise UserError(f"{flags[0]}: flags, as for grids, are typed: normexp train {flags[0]} ...")
    return quoted([*map(at_home, given)])


def _override(key: str, value: object) -> str:
    """Return `key=value`; raises UserError where a value has no such form."""
    if isinstance(value, Mapping):
        inner = next(iter(value), "...")
        raise UserError(f"{key}={value}: settings of {key} are texts, '{key}.{inner}=...'")
    is_grid = isinstance(value, list | tuple) and key in GRIDS
    if is_grid or isinstance(value, range | set | frozenset):
        raise UserError(
            f"{key}={value}: a run has one; a grid is typed: normexp train -m {key}=..."
        )
    if not isinstance(value, str | Path | Number | list | tuple | None):
        own = ""
        if target := OF_ONES_OWN.get(key):
            own = f"; of your own, in a file myparts.py: {key}='custom', '{target}=myparts.Mine'"
        raise UserError(f"{key}={value!r}: a name, number or text is needed{own}")
    return f"{key}={typed(value)}"
