"""What the lens may be asked: which numbers its settings may be. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

from normexp.errors import UserError

AXES = ("cost", "contrast", "statistics", "noise")
# By dotted key: whole numbers only, the least, the most. A list's limits hold for each number.
LIMITS: Mapping[str, tuple[bool, float, float]] = {
    "seed": (True, 0, 2**32 - 1),
    "images": (True, 1, inf),
    "contrast.batch_size": (True, 1, inf),
    "contrast.curve": (False, 0, inf),
    "contrast.per_image": (False, 0, inf),
    "contrast.gain": (False, 0, inf),
    "contrast.gamma": (False, 0, inf),
    "statistics.batch_sizes": (True, 1, inf),
    "statistics.alphas": (False, 0, 1),
    "statistics.precise_batch_sizes": (True, 1, inf),
    "statistics.precise_images": (True, 1, inf),
    "noise.batch_sizes": (True, 1, inf),
    "noise.images": (True, 1, inf),
    "noise.draws": (True, 2, inf),
    "cost.steps": (True, 1, inf),
}
LISTS = ("curve", "per_image", "gain", "gamma", "batch_sizes", "alphas", "precise_batch_sizes")


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by axis, those for all axes under `common`.

    Raises UserError with the value and what is allowed.
    """
    for key, (whole, least, most) in LIMITS.items():
        group, _, name = key.rpartition(".")
        value = (settings[group] if group else settings)[name]
        is_list = name in LISTS
        values = value if is_list and isinstance(value, list) else [value]
        if is_list != isinstance(value, list) or not all(
            _is_number(each, whole) and least <= each <= most for each in values
        ):
            kind = "whole numbers" if whole else "numbers"
            limits = f"from {least:g} on" if most == inf else f"from {least:g} to {most:g}"
            form = f"a list of {kind} {limits}" if is_list else f"one of the {kind} {limits}"
            raise UserError(f"{key}={value}: {form} is needed")
    common = {key: settings[key] for key in ("seed", "images")}
    return {"common": common, **{axis: settings[axis] for axis in AXES}}


def _is_number(value: Any, whole: bool) -> bool:
    kinds = int if whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and isfinite(value)
