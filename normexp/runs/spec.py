"""What a run was asked to do: checked settings, and the name that they give it.

The same settings name the same folder, whichever command, sweep or machine asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normexp.errors import UserError
from normexp.runs.checks import check_keys, check_number, typed

Settings = dict[str, Any]

PRECISIONS = ("auto", "fp32", "bf16")
# What a group's file may say, beside its name. A model's settings are its own.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "data": (
        "limit",
        "val_fraction",
        "standardise",
        "crop",
        "flip",
        "red_scale",
        "gain_spread",
        "root",
        "source",
    ),
    "model": (),
    "norm": ("layer", "at", "conv", "activation", "init"),
    "contrast": ("augmentation",),
    "optimizer": ("lr", "batch_exponent", "weight_decay", "warmup", "algorithm"),
}
MAX_SEED = 2**32
FIELDS = (
    *GROUPS,
    *("seed", "batch_size", "epochs", "steps", "label_smoothing", "precision"),
)
# Names become parts of file names.
NAME = r"[A-Za-z0-9_.]+"
NAME_RULE = "a name of letters, digits, '_' and '.' is needed"
# Where things lie does not change what they are.
LOCATIONS = ("root", "cache_dir")


@dataclass(frozen=True)
class RunSpec:
    """A run's settings, of the right types and in range."""

    settings: Settings
    """Every setting that can change the result, as plain values."""
    seed: int
    batch_size: int
    epochs: int | None
    """The budget in epochs, or None where it is given in `steps`."""
    steps: int | None
    label_smoothing: float
    precision: str

    @classmethod
    def from_settings(cls, settings: Settings) -> RunSpec:
        """Check `settings`; raises UserError with the value and what is allowed."""
        check_keys(settings, FIELDS, "", all_needed=True)
        for group in GROUPS:
            _check_group(settings, group)
        data, optimizer = settings["data"], settings["optimizer"]
        check_number(data, "limit", "data.", whole=True, least=1, optional=True)
        check_number(data, "val_fraction", "data.", above=0, below=1)
        check_number(data, "crop", "data.", whole=True, least=0)
        check_number(data, "red_scale", "data.", least=0, optional=True)
        check_number(data, "gain_spread", "data.", least=0, optional=True)
        if not isinstance(data.get("flip"), bool):
            raise UserError(f"data.flip={typed(data.get('flip'))}: true or false is needed")
        check_number(optimizer, "lr", "optimizer.", above=0)
        check_number(optimizer, "batch_exponent", "optimizer.", least=0)
        check_number(optimizer, "weight_decay", "optimizer.", least=0)
        check_number(optimizer, "warmup", "optimizer.", least=0, below=1)

        epochs = check_number(settings, "epochs", whole=True, least=1, optional=True)
        if settings["steps"] is not None:
            epochs = None
        settings = {**settings, "epochs": epochs}
        if settings["precision"] not in PRECISIONS:
            raise UserError(
                f"precision={typed(settings['precision'])}: "
                f"one of {', '.join(PRECISIONS)} is needed"
            )
        return cls(
            settings=settings,
            seed=check_number(settings, "seed", whole=True, least=0, below=MAX_SEED),
            batch_size=check_number(settings, "batch_size", whole=True, least=1),
            epochs=epochs,
            steps=check_number(settings, "steps", whole=True, least=1, optional=True),
            label_smoothing=check_number(settings, "label_smoothing", least=0, below=1),
            precision=settings["precision"],
        )

    @property
    def name(self) -> str:
        """The run's folder: readable factors, then a hash of every setting."""
        return f"{_readable(self.settings)}-s{self.seed}-{_hash(self.settings)}"


def cell_name(settings: Settings) -> str:
    """Return the name that runs of these settings and any seed share."""
    return f"{_readable(settings)}-{_hash({**settings, 'seed': None})}"


@dataclass(frozen=True)
class Runtime:
    """Settings that cannot change the result: where and how a run is carried out."""

    outputs: str
    cache_dir: str
    device: str
    threads: int | None
    """CPU threads, or None for one a core."""
    jobs: int | None
    """Runs of a sweep at a time, or None for as many as pay."""
    log_every: int
    """Steps between two points of a training curve."""
    checkpoint_seconds: float
    study: str | None
    """The study that the run is asked for by."""

    @classmethod
    def from_settings(cls, settings: Settings, study: Any) -> Runtime:
        """Check `settings`; raises UserError with the value and what is allowed."""
        known = tuple(sorted(cls.__dataclass_fields__.keys() - {"study"}))
        check_keys(settings, known, "runtime.", all_needed=True)
        if study is not None and not re.fullmatch(NAME, str(study)):
            raise UserError(f"study={study}: {NAME_RULE}")
        check_number(settings, "threads", "runtime.", whole=True, least=1, optional=True)
        check_number(settings, "jobs", "runtime.", whole=True, least=1, optional=True)
        check_number(settings, "log_every", "runtime.", whole=True, least=1)
        check_number(settings, "checkpoint_seconds", "runtime.", above=0)
        for key in ("outputs", "cache_dir", "device"):
            if not isinstance(settings[key], str) or not settings[key]:
                raise UserError(f"runtime.{key}={typed(settings[key])}: a text is needed")
        return cls(**settings, study=study if study is None else str(study))


def _check_group(settings: Settings, group: str) -> None:
    part = settings[group]
    name = part.get("name") if isinstance(part, Mapping) else None
    if name is not None and GROUPS[group]:
        check_keys(part, ("name", *GROUPS[group]), f"{group}.")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise UserError(f"{group}.name={typed(name)}: {NAME_RULE}")


def _readable(settings: Settings) -> str:
    model, norm, contrast = (settings[group]["name"] for group in ("model", "norm", "contrast"))
    return f"{model}-{norm}-b{int(settings['batch_size'])}-{contrast}"


def _hash(settings: Settings) -> str:
    text = json.dumps(_canonical(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _canonical(value: Any) -> Any:
    """Drop locations, and write 1.0 as 1, so that equal settings have equal text."""
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items() if k not in LOCATIONS}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
