"""Checks of settings, whose errors tell the value and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from normexp.errors import UserError, suggestion


def check_keys(
    settings: Mapping[str, Any], known: tuple[str, ...], prefix: str, all_needed: bool = False
) -> None:
    """Refuse a key of `settings` that is not `known`, and, where all are needed, a missing one.

    `prefix` is what stands before a key on the command line. Raises UserError.
    """
    for key in settings:
        if key not in known:
            hint = suggestion(str(key), known)
            raise UserError(f"there is no setting '{prefix}{key}'; {hint}")
    if all_needed and (missing := [prefix + key for key in known if key not in settings]):
        raise UserError(f"{missing[0]} is not given; add {missing[0]}=...")


def check_number(
    settings: Mapping[str, Any],
    key: str,
    prefix: str = "",
    *,
    whole: bool = False,
    optional: bool = False,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """Return `settings[key]`, an int if `whole` and else a float, or None where it is `optional`.

    Raises UserError with the value where it is no number of the kind that is described: finite,
    of `least` or more, `above` and `below` the bounds given.
    """
    if key not in settings:
        raise UserError(f"{prefix}{key} is not given; add {prefix}{key}=...")
    value = settings[key]
    if value is None and optional:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (
        is_number
        and (isinstance(value, int) or isfinite(value))
        and not (whole and value != int(value))
        and (least is None or value >= least)
        and (above is None or value > above)
        and (below is None or value < below)
    ):
        return int(value) if whole else float(value)
    limits = [
        f"of {least} or more" if least is not None else "",
        f"above {above}" if above is not None else "",
        f"below {below}" if below is not None else "",
    ]
    kind = "a whole number" if whole else "a number"
    needed = " ".join([kind, " and ".join(limit for limit in limits if limit)]).strip()
    raise UserError(f"{prefix}{key}={typed(value)}: {needed}{' or null' * optional} is needed")


def typed(value: Any) -> Any:
    """Return `value` as it is typed on a command line."""
    return json.dumps(value) if value is None or isinstance(value, bool) else value
