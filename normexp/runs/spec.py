"""What a run is asked to do: all settings that can change its result, and the name they give it.

The same settings name the same folder, whichever command, sweep or machine asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from normexp.errors import UserError
from normexp.runs.plain import from_plain
from normexp.runs.source import WEIGHTS
from normexp.runs.values import LOCATIONS, digest, flat, hashable
from normexp.settings import PARTS, RUN, check_keys, checked, keys_of

NUMERICS = 2  # raised by a change of the code that changes results beyond rounding, or random draws

KEYS = {group: keys_of(RUN, group) for group in ("", *PARTS)}  # read once, for thousands of runs

Part = Mapping[str, Any]  # to be made: `_target_`, `_partial_` and arguments, as plain values
Settings = Mapping[str, Any]

CONTENTS = (".py", " (content)")
"""How the factors end that are digests: of a module of the user's own, and of the weights."""

LEFT_OUT = ("_partial_", *LOCATIONS)
"""Keys that a table or a filter leaves out: they say how a part is made, or where it lies."""


@dataclass(frozen=True)
class DataSpec:
    """The images, and what is done to them before a network sees them."""

    name: str
    source: Part
    limit: int | None
    val_fraction: float
    standardise: str
    crop: int
    flip: bool
    red_scale: float | None
    gain_spread: float | None
    root: str | None = None
    convert: bool | None = None
    resize: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ModelSpec:
    """The network."""

    name: str
    network: Part
    padding_mode: str
    own: Settings  # settings of this network alone, such as `depth`; its part refers to them
    weights: str | None = None  # a file or a name of torchvision's, that the network starts with
    recalibrate: int | None = None  # batches over which statistics are estimated at the start
    freeze: tuple[str, ...] | None = None  # patterns of parameters that do not learn


@dataclass(frozen=True)
class NormSpec:
    """The norm layer, and where it stands."""

    name: str
    layer: Part
    at: Settings | None = None
    conv: Part | None = None
    activation: Part | None = None
    init: Part | None = None


@dataclass(frozen=True)
class ContrastSpec:
    """The contrast augmentation."""

    name: str
    augmentation: Part


@dataclass(frozen=True)
class OptimizerSpec:
    """The optimizer and its learning rate."""

    name: str
    lr: float
    batch_exponent: float
    weight_decay: float
    warmup: float
    algorithm: Part


@dataclass(frozen=True)
class RunSpec:
    """A run's settings, of the right types and in range: all that goes into a training."""

    seed: int
    batch_size: int
    accumulate: int  # batches of an optimizer step
    epochs: int | None  # the budget in epochs, or None where it is given in `steps`
    steps: int | None
    label_smoothing: float
    precision: str
    kernels: str
    data: DataSpec
    model: ModelSpec
    norm: NormSpec
    contrast: ContrastSpec
    optimizer: OptimizerSpec
    numerics: int = NUMERICS
    source: Mapping[str, str] = field(default_factory=dict)
    """The digest of each module of the user's own, and of the weights (`runs/source.py`)."""

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        numerics: int = NUMERICS,
        source: Mapping[str, str] = MappingProxyType({}),
    ) -> RunSpec:
        """Check `settings`; raises UserError with the value and what is allowed."""
        check_keys(settings, KEYS[""])
        settings = checked(settings, RUN)
        for group in ("data", "norm", "contrast", "optimizer"):
            check_keys(settings[group], KEYS[group], f"{group}.")
        model = dict(settings["model"])
        known = {key: model.pop(key) for key in KEYS["model"] if key in model}
        epochs = settings["epochs"] if settings["steps"] is None else None
        if epochs is None and settings["steps"] is None:
            raise UserError("epochs=null: a number of epochs, or of steps, is needed")
        plain = {**settings, "model": {**known, "own": model}, "epochs": epochs}
        return from_plain(cls, {**plain, "numerics": numerics, "source": source})

    @cached_property
    def settings(self) -> Settings:
        """The settings as plain values, in the groups and by the keys that they are typed in."""
        known = KEYS[""]
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name in known}
        # asdict would copy every list and mapping, for each run of a catalogue.
        plain = {key: {**vars(v)} if is_dataclass(v) else v for key, v in values.items()}
        own = plain["model"].pop("own")
        plain["model"] |= own
        optional = {
            "data": ("root", "convert", "resize", "mean", "std"),
            "model": ("weights", "recalibrate", "freeze"),
            "norm": ("at", "conv", "activation", "init"),
        }
        for group, key in ((group, key) for group, keys in optional.items() for key in keys):
            if plain[group][key] is None:
                del plain[group][key]
        return plain

    @cached_property
    def name(self) -> str:
        """The run's folder: readable factors, then a digest of every setting and of `numerics`."""
        return f"{self._readable}-s{self.seed}-{digest(self.identity)}"

    @cached_property
    def cell_name(self) -> str:
        """The name that runs of these settings and any seed share."""
        return f"{self._readable}-{digest({**self.identity, 'seed': None})}"

    @cached_property
    def factors(self) -> Settings:
        """Settings by dotted key, a group's name under the group's key, a list as a tuple.

        And `numerics`: runs of other ones are other runs.
        """
        found = {key: hashable(value) for key, value in flat(self.settings, LEFT_OUT)}
        found["numerics"] = self.numerics
        for part, content in self.source.items():
            of_module, of_weights = CONTENTS
            name = part + of_weights if part == WEIGHTS else part.replace(".", "/") + of_module
            found[name] = content
        return found

    @property
    def _readable(self) -> str:
        return f"{self.model.name}-{self.norm.name}-b{self.batch_size}-{self.contrast.name}"

    @property
    def identity(self) -> Settings:
        """All that can change the result."""
        settings = self.settings
        if WEIGHTS in self.source:  # what is in the file counts, not where it lies
            model = {k: v for k, v in settings["model"].items() if k != "weights"}
            settings = {**settings, "model": model}
        return {**settings, "numerics": self.numerics, "source": self.source}
