"""The settings of a grid's cells; cells that differ in values alone are composed once.

Hydra takes a tenth of a second to find, read and merge the files that a cell's choices name. Of the
cells with the same choices and the same keys it composes the first. The others are that one with
their own values, and what refers to these (`${model.depth}`) is resolved again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import pairwise
from operator import getitem

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from normexp.commands.train import flags_of
from normexp.parts import plain

Keys = tuple[str, ...]
Plain = dict[str, object]

REFERENCE = re.compile(r"\$\{(?:(\w+(?:\.\w+)*)\}|oc\.env:|tree_digest:)")
"""To a key, or by a resolver that reads no setting but its arguments."""


class Grid:
    """Composes cells, one after another."""

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self._loader = loader
        self._config = config
        self._shared: dict[object, Composition] = {}
        parser = OverridesParser.create()
        self._parse = cache(lambda line: parser.parse_overrides([line])[0])
        self._is_group = cache(self._has_options)

    def cell(self, lines: Sequence[str]) -> tuple[Plain, list[str]]:
        """Return a cell's settings and the arguments of `normexp train` that make it alone.

        Raises what Hydra raises, and UserError where a setting refers to what is not there.
        """
        overrides = [self._parse(line) for line in lines]
        values = self._values(overrides)
        # A list cannot take every place that a number can.
        kind = tuple(
            (each.key_or_group, type(each.value()) is list) if each in values else each.input_line
            for each in overrides
        )
        composed = self._shared.get(kind) or self._composed(lines, values)
        if composed.can_be_shared:
            self._shared[kind] = composed
        own = [str(each.input_line) for each in overrides if not each.is_hydra_override()]
        return composed.settings(values), [*composed.flags, *own]

    def _composed(self, lines: Sequence[str], values: Sequence[Override]) -> Composition:
        cfg = self._loader.load_sweep_config(self._config, list(lines))
        HydraConfig.instance().set_config(cfg)  # settings may refer to it
        return Composition(cfg, values)

    def _values(self, overrides: Sequence[Override]) -> list[Override]:
        """Return the overrides that give a key another value and do nothing else."""
        settings = [each for each in overrides if not self._is_group(each.key_or_group)]
        keys = sorted(f"{each.key_or_group}." for each in settings)
        if any(after.startswith(key) for key, after in pairwise(keys)):
            return []  # such as `a=1 a.b=2`, whose order counts
        return [each for each in settings if _is_value(each)]

    def _has_options(self, key: str) -> bool:
        of_hydra = list(self._config.hydra.overrides.hydra)
        name = self._config.hydra.job.config_name
        return "." not in key and bool(self._loader.get_group_options(key, None, name, of_hydra))


class Composition:
    """A cell as Hydra composed it, and those that differ from it in some values."""

    def __init__(self, cfg: DictConfig, values: Sequence[Override]) -> None:
        self.flags = flags_of(cfg.hydra)
        with open_dict(cfg):
            del cfg["hydra"]
        self._cfg = cfg
        self._settings: Plain = plain(cfg)
        references = dict(_references(OmegaConf.to_container(cfg)))
        changed = [_keys(each) for each in values]
        self._affected = affected(references, changed)
        self.can_be_shared = (
            all(_holds(self._settings, _keys(each), each.value()) for each in values)
            and not any(keys[:i] in references for keys in changed for i in range(len(keys)))
            and not any("${hydra" in text for text in references.values())
        )

    def settings(self, values: Sequence[Override]) -> Plain:
        settings = self._settings
        if not self.can_be_shared:
            return settings
        for each in values:
            settings = _with(settings, _keys(each), each.value())
        if self._affected:
            for each in values:
                OmegaConf.update(self._cfg, each.key_or_group, each.value(), merge=True)
            for keys in self._affected:
                settings = _with(settings, keys, plain(self._cfg, keys))
        return settings


def affected(references: Mapping[Keys, str], changed: Sequence[Keys]) -> list[Keys]:
    """Return where those `references` stand whose value may depend on what is at `changed` keys.

    One that cannot be read here, such as a relative one, may depend on anything.
    """
    found: list[Keys] = []
    while True:
        sources = [*changed, *found]
        new = [
            keys
            for keys, text in references.items()
            if keys not in found and _may_depend(text, sources)
        ]
        if not new:
            return found
        found += new


def _may_depend(text: str, sources: Sequence[Keys]) -> bool:
    read = REFERENCE.findall(text)
    targets = [tuple(key.split(".")) for key in read if key]
    return text.count("${") != len(read) or any(
        target[: len(keys)] == keys[: len(target)] for target in targets for keys in sources
    )


def _references(node: object, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield keys and text of the values that refer to others; a list is one value."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _references(value, (*keys, key))
    elif "${" in str(node):
        yield keys, str(node)


def _keys(override: Override) -> Keys:
    return tuple(override.key_or_group.split("."))


def _is_value(override: Override) -> bool:
    value = override.value()
    return (
        override.type is OverrideType.CHANGE
        and override.package is None
        and not override.is_hydra_override()
        and not isinstance(value, dict)
        and not any(mark in str(value) for mark in ("${", "???"))  # it refers, or is missing
    )


def _holds(settings: Plain, keys: Keys, value: object) -> bool:
    try:
        found: object = reduce(getitem, keys, settings)  # type: ignore[arg-type]
    except (KeyError, TypeError):  # an index of a list, say
        return False
    return type(found) is type(value) and found == value


def _with(settings: Plain, keys: Keys, value: object) -> Plain:
    key, *rest = keys
    if rest:
        inner = settings[key]
        assert isinstance(inner, dict)
        value = _with(inner, tuple(rest), value)
    return {**settings, key: value}
