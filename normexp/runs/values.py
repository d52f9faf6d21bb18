"""Settings as values: in one form, by dotted key, and in eight digits."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping

SIMPLE = (str, int, float, type(None))
"""Asked for before `Mapping`, which takes ten times as long, by thousands of runs."""
LOCATIONS = ("root", "cache_dir")  # keys that say where things lie, not what they are


def digest(settings: Mapping[str, object]) -> str:
    """Return eight hexadecimal digits of settings; where things lie does not count."""
    text = json.dumps(_canonical(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def flat(
    settings: Mapping[str, object], without: Collection[str] = (), prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Yield settings by dotted key, but for keys whose last part is in `without`.

    A group's name stands under the group's key.
    """
    for key, value in settings.items():
        if not isinstance(value, SIMPLE) and isinstance(value, Mapping):
            if not prefix and "name" in value:
                yield key, value["name"]
            yield from flat(value, without, f"{prefix}{key}.")
        elif key not in without and not (key == "name" and prefix):
            yield prefix + key, value


def hashable(value: object) -> object:
    if isinstance(value, SIMPLE):
        return value
    if isinstance(value, Mapping):
        value = list(value.items())
    return tuple(map(hashable, value)) if isinstance(value, list | tuple) else value


def _canonical(value: object) -> object:
    """Drop locations, and write 1.0 as 1, so that equal settings have equal text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, SIMPLE):
        return value
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items() if k not in LOCATIONS}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    return value
