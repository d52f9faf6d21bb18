"""Settings that are given in Python, as they are typed on the command line."""

from collections.abc import Iterable, Mapping
from numbers import Number
from pathlib import Path

from normexp.commands.mistyped import at_home, refuse_mistyped, spelled
from normexp.commands.quoting import quoted
from normexp.errors import UserError
from normexp.kinds import typed


def as_typed(overrides: Iterable[str], settings: Mapping[str, object]) -> list[str]:
    """Return the arguments of `normexp train`; raises UserError where it cannot be meant so."""
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
    if isinstance(value, range | set | frozenset):
        raise UserError(
            f"{key}={value}: a run has one; a grid is typed: normexp train -m {key}=..."
        )
    if callable(value) or not isinstance(value, str | Path | Iterable | Number | None):
        raise UserError(
            f"{key}={value!r}: a name, number or text is needed; of your own, in a file "
            "mynorms.py, norm='custom' with 'norm.layer._target_=mynorms.Halved'"
        )
    return f"{key}={typed(value)}"
