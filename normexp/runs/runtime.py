"""Where and how a run is carried out, and why: what cannot change its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from normexp.runs.plain import from_plain
from normexp.runs.spec import Settings
from normexp.settings import ASKED, RUNTIME, check_keys, checked, keys_of


class Design(StrEnum):
    """How the number of seeds of a cell came about, which decides how comparisons are tested."""

    PLANNED = "planned"
    SEQUENTIAL = "sequential"  # seeds were added after a look at the runs before


@dataclass(frozen=True)
class Runtime:
    """Settings that cannot change the result: where and how a run is carried out."""

    outputs: str
    cache_dir: str
    device: str
    threads: int | None  # CPU threads, or None for one a core
    jobs: int | None  # runs of a sweep at a time, or None for as many as pay
    log_every: int  # steps between two points of a training curve
    checkpoint_seconds: float
    study: str | None  # the study that the run is asked for by
    until: str | None = None  # `decided`: seeds are added until the comparisons of the sweep are
    max_seeds: int | None = None
    skip_impossible: bool = False  # whether a sweep leaves out what cannot work
    reference: bool = True  # whether a run that normexp ships counts as finished

    @classmethod
    def from_settings(cls, settings: Settings, asked: Settings) -> Runtime:
        """Check settings below `runtime`, and why the run is asked for.

        Raises UserError with the value and what is allowed.
        """
        check_keys(settings, keys_of(RUNTIME, "runtime"), "runtime.")
        values = checked({"runtime": settings, **asked}, (*ASKED, *RUNTIME))
        return from_plain(cls, {**values.pop("runtime"), **values})

    @property
    def design(self) -> Design:
        return Design.SEQUENTIAL if self.until else Design.PLANNED

    @property
    def folders(self) -> dict[str, str]:
        """The folders that are written to, by their setting."""
        return folders_of(vars(self))


def folders_of(runtime: Mapping[Any, Any]) -> dict[str, str]:
    """Return the folders that are written to, by their setting."""
    found = {key: runtime[key] for key in ("outputs", "cache_dir") if key in runtime}
    # Of several outputs the first is written to.
    return {f"runtime.{k}": str(v if isinstance(v, str) else v[0]) for k, v in found.items()}
