"""One cell of a sweep: a run, and the ways to carry it out."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from normexp.runs.catalogue import Entry, last_change, read_entry
from normexp.runs.folder import RunFolder
from normexp.runs.lock import InProgressError, revisit
from normexp.runs.looks import design_for
from normexp.runs.plain import to_plain
from normexp.runs.record import RunRecord
from normexp.runs.reference import take
from normexp.runs.result import RunResult
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec, Settings
from normexp.sweep.pool import Task


@dataclass(frozen=True)
class Cell:
    """A run that a sweep asks for."""

    label: str  # what tells it from the other cells: `norm=batch seed=1`
    spec: RunSpec
    runtime: Runtime
    folder: RunFolder
    arguments: tuple[str, ...]  # what `normexp train` needs to do this run alone

    _read: list[RunResult] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def is_finished(self) -> bool:
        return self.result() is not None

    def result(self) -> RunResult | None:
        """Return its result, None where there is none that is whole; one is read once."""
        if not self._read:
            self._read.extend(filter(None, [self.folder.whole_result()]))
        return self._read[0] if self._read else None

    @property
    def has_begun(self) -> bool:
        return bool(self.folder.checkpoints)

    @property
    def log(self) -> Path:
        """What its process writes to the screen that it does not have."""
        return self.folder.console

    def asked(self, threads: int | None = None) -> dict[str, Settings]:
        """Return both records as plain values, with so many `threads` if that is given."""
        runtime = self.runtime if threads is None else replace(self.runtime, threads=threads)
        return {"spec": to_plain(self.spec), "runtime": to_plain(runtime)}

    def task(self, threads: int | None) -> Task:
        """Return what its process on this machine is to do."""
        return Task("train", {**self.asked(threads), "command": self.by_hand(threads)})

    def task_far(self, threads: int | None, cache_dir: str | None) -> Task:
        """Return what its process on a machine that has an environment of its own is to do.

        The settings are those of the sweep, whatever its files say by then; for `cache_dir`, the
        folder of decoded images where none is given, the machine takes its own.
        """
        asked = self.asked(threads)
        if self.runtime.cache_dir == cache_dir:
            kept = {key: each for key, each in asked["runtime"].items() if key != "cache_dir"}
            asked = {**asked, "runtime": kept}
        return Task("train", {**asked, "command": self.by_hand(threads)})

    def take(self) -> bool:
        """Take its result from the runs that normexp ships, if it is there; return whether."""
        if self.runtime.reference and self.is_finished:  # else its result is read too early
            return False
        with suppress(InProgressError):
            return take(self.folder, self.spec, self.by_hand(None), self.runtime)
        return False

    def entry(self) -> Entry | None:
        """Return what its folder says, None where there is nothing; a result is not read again."""
        if result := self.result():
            record = RunRecord(self.spec, self.by_hand(None))
            return Entry(self.folder, record, result, None, last_change(self.folder))
        return read_entry(self.folder) if self.folder.record_file.exists() else None

    def open(self, threads: int | None) -> None:
        """Record what is asked in the run's folder."""
        runtime = self.runtime
        design = design_for(runtime, self.spec)
        self.folder.open(self.spec, self.by_hand(threads), runtime.study, design)

    def revisit(self, threads: int | None) -> None:
        """Note that the finished run is asked for again."""
        runtime = self.runtime
        design = design_for(runtime, self.spec)
        revisit(self.folder, self.spec, self.by_hand(threads), runtime.study, design)

    def by_hand(self, threads: int | None) -> str:
        """Return the command that does the same on a terminal."""
        return shlex.join(["normexp", "train", *self._typed(threads)])

    def _typed(self, threads: int | None) -> list[str]:
        return [*self.arguments, *([] if threads is None else [f"runtime.threads={threads}"])]


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each cell those of its overrides that not all cells have."""
    common = set(overrides[0]).intersection(*overrides[1:]) if overrides else set()
    return [" ".join(each for each in cell if each not in common) for cell in overrides]
