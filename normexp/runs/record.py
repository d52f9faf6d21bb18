"""Records as JSON: `RunRecord`, `RunResult` and the other files that a folder keeps.

Every record bears the number of its format and a checksum, which are made and checked here alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from normexp.errors import UserError
from normexp.runs.migration import migrated_lens, migrated_result, migrated_run
from normexp.runs.plain import Plain, from_plain, to_plain
from normexp.runs.result import Environment, RunResult
from normexp.runs.runtime import Design
from normexp.runs.spec import RunSpec
from normexp.settings import SEED

FORMAT = 1
DEEPEST = 20  # settings in each other; `conf/` has 5
LensRow = Mapping[str, Any]  # a row of `lens.json`; `normexp.evaluation.lens` describes its keys
T = TypeVar("T")


class RecordError(ValueError):
    """The text is not a record that this version can read; the message says why."""


@dataclass(frozen=True)
class RunRecord:
    """What was asked: `run.json`."""

    spec: RunSpec
    command: str  # what makes the run, as it is typed
    studies: tuple[str, ...] = ()
    design: Design = Design.PLANNED

    def to_plain(self) -> Plain:
        """Return the record with its settings by the keys that they are typed with."""
        return {
            "name": self.spec.name,
            "command": self.command,
            "numerics": self.spec.numerics,
            "source": self.spec.source,
            "settings": self.spec.settings,
            "studies": list(self.studies),
            "design": self.design,
        }

    @classmethod
    def from_plain(cls, plain: Plain) -> RunRecord:
        """Return what `to_plain` was given; raises UserError, ValueError, TypeError or KeyError."""
        settings = plain["settings"]
        if _is_deeper(settings, DEEPEST):
            raise ValueError(f"settings are nested in more than {DEEPEST} levels")
        shared = json.dumps([{**settings, "seed": 0}, plain["numerics"], plain["source"]])
        SEED.check(settings["seed"])
        spec = replace(_spec_of(shared), seed=int(settings["seed"]))
        studies = tuple(map(str, plain["studies"]))
        # The first records of format 1 bear none.
        design = Design(plain.get("design", Design.PLANNED))
        return cls(spec, str(plain["command"]), studies, design)


@lru_cache(maxsize=1024)
def _spec_of(shared: str) -> RunSpec:
    """Return the settings of a cell; checking them takes long, and is done once for all seeds."""
    return RunSpec.from_settings(*json.loads(shared))


NUMBERS = ("accuracy", "changed", "spread", "size")
OPTIONAL_NUMBERS = ("level", "alpha", "batch_size", "images")
"""Of a row of `lens.json`."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed when it was last tried: `failure.json`."""

    reason: str


@dataclass(frozen=True)
class LensRecord:
    """What `normexp evaluate` found: `lens.json`. `evaluation/lens.py` describes the rows."""

    settings: Mapping[str, object]  # what each axis was asked, and the digest of the weights
    environment: Environment
    rows: tuple[LensRow, ...]
    seconds: Mapping[str, float]  # by axis

    def __post_init__(self) -> None:
        """Raise ValueError where a row has not the types that tables need."""
        for row in self.rows:
            if not isinstance(row.get("axis"), str):
                raise ValueError(".rows: each needs an axis")
            for key, value in row.items():
                if isinstance(value, Mapping | list):
                    raise ValueError(f".rows[].{key}: a value is needed, no {type(value)}")
                if key in (*NUMBERS, *OPTIONAL_NUMBERS) and not (
                    isinstance(value, int | float) or (value is None and key in OPTIONAL_NUMBERS)
                ):
                    raise ValueError(f".rows[].{key}: a number is needed, not {value!r}")


@dataclass(frozen=True)
class Measurement:
    """What was measured of one network for a claim."""

    settings: Mapping[str, object]
    seed: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Measurements:
    """What was measured for a claim without training: `claims/<claim>.json`."""

    claim: str
    command: str
    rows: tuple[Measurement, ...]


MIGRATIONS: Mapping[type, Callable[[Plain], Plain]] = {
    RunRecord: migrated_run,
    RunResult: migrated_result,
    LensRecord: migrated_lens,
}
"""From records without a format number, as commit f186aea wrote them."""


def to_json(record: object) -> str:
    """Return a record as text, for people and programs; its last entry is a checksum."""
    plain = record.to_plain() if isinstance(record, RunRecord) else to_plain(record)
    plain = {"format": FORMAT, **plain}
    return json.dumps({**plain, "checksum": _checksum(plain)}, indent=1, allow_nan=False) + "\n"


def from_json(kind: type[T], text: str | bytes) -> T:
    """Return what `to_json` was given; raises RecordError if damaged, of another kind or later."""
    try:
        plain = json.loads(text)
        is_whole = plain.pop("checksum") == _checksum(plain)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise RecordError("is damaged: its checksum does not fit its content")
    number = plain.pop("format", 0)
    if number not in (0, FORMAT):
        raise RecordError(f"has the format {number} of a later normexp; install that version")
    try:
        if number == 0 and kind in MIGRATIONS:
            plain = MIGRATIONS[kind](plain)
        if issubclass(kind, RunRecord):
            return kind.from_plain(plain)  # type: ignore[return-value]
        return from_plain(kind, plain)
    except (UserError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        raise RecordError(f"is no {kind.__name__}: {reason}") from error


def _checksum(content: Plain) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_deeper(value: object, levels: int) -> bool:
    """Whether what JSON gave has dictionaries and lists in more than so many levels."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(v, levels - 1) for v in inner if type(v) in (dict, list))
