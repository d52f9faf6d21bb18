"""The folder of a run: every file name in it, and the records that they hold."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from normexp.runs.files import DamagedFileError, check_sealed, read_record, set_aside, write_record
from normexp.runs.record import Failure, LensRecord, RunRecord
from normexp.runs.result import RunResult
from normexp.runs.runtime import Design
from normexp.runs.spec import RunSpec

T = TypeVar("T")

LENS_SUFFIX = ".lens"
"""Of TensorBoard's files that show the rows of the lens."""


class _File:
    """The path of a file with this name in the folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: RunFolder, _: type[RunFolder]) -> Path:
        return folder.path / self._name


@dataclass(frozen=True)
class RunFolder:
    """Paths and records of one run. Reading writes nothing."""

    path: Path

    record_file = _File("run.json")  # what was asked
    result_file = _File("result.json")  # what was found; where it is, the run is finished
    failure_file = _File("failure.json")  # why the run failed when it was last tried
    weights = _File("weights.pt")  # the trained network's state dict
    recalibrated = _File("recalibrated.pt")  # the same, by `normexp recalibrate`
    checkpoint = _File("checkpoint.pt")  # everything that is needed to go on
    checkpoint_before = _File("checkpoint.before.pt")  # for when the other is not whole
    log = _File("train.log")  # what the training says, line by line
    console = _File("console.log")  # the screen of the run's process in a sweep
    lens_file = _File("lens.json")  # what `normexp evaluate` found
    lens_table = _File("lens.csv")  # its rows
    lens_console = _File("lens.log")  # the screen of `normexp evaluate` on several runs

    @classmethod
    def of(cls, outputs: Path, spec: RunSpec) -> RunFolder:
        """Return where the run lies below `outputs`, or will lie."""
        return cls(outputs / "runs" / spec.name)

    @classmethod
    def all_below(cls, outputs: Path, name: str = "*") -> list[RunFolder]:
        """Return the folders of the runs below `outputs` that have a record, sorted."""
        folders = [cls(path) for path in sorted(outputs.glob(f"runs/{name}"))]
        return [folder for folder in folders if folder.has_record()]

    def has_record(self) -> bool:
        """Whether something is there for a record, which may be unreadable."""
        try:
            self.record_file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoints(self) -> list[Path]:
        """What there is to go on from, the latest first."""
        return [file for file in (self.checkpoint, self.checkpoint_before) if file.exists()]

    def events(self) -> list[Path]:
        """Return TensorBoard's files of the training."""
        every = sorted(self.path.glob("events.out.tfevents.*"))
        return [file for file in every if file.suffix != LENS_SUFFIX]

    def lens_events(self) -> list[Path]:
        """Return TensorBoard's files of the lens."""
        return sorted(self.path.glob(f"events.out.tfevents.*{LENS_SUFFIX}"))

    def temporary(self) -> list[Path]:
        """Return what a process that was killed as it wrote has left."""
        return list(self.path.glob(".*.tmp"))

    def superfluous(self) -> list[Path]:
        """Return what a finished run has no use for."""
        return self.temporary() + self.checkpoints

    def again(self) -> str:
        """Return the line that makes the run anew, its weights among it."""
        outputs = self.path.parent.parent
        where = [] if str(outputs) == "outputs" else [f"outputs={outputs}"]
        clean = ["normexp", "runs", f"clean={self.name}", *where, "yes=true"]
        # A record may come from somebody else: a shell is to read its command as words alone.
        try:
            words = shlex.split(self.record().command)[2:]
        except ValueError:  # a quote that does not end
            words = []
        return f"{shlex.join(clean)} && {shlex.join(['normexp', 'train', *words])}"

    def lost_weights(self) -> str | None:
        """Return what is wrong with the weights of a finished run, and what makes them again."""
        try:
            check_sealed(self.weights)
        except FileNotFoundError:
            return f"{self.weights} is not there; to make it again: {self.again()}"
        except DamagedFileError as error:
            return f"{error}; to make it again: {self.again()}"
        return None

    def record(self) -> RunRecord:
        """Return what was asked; raises FileNotFoundError and DamagedFileError."""
        return read_record(self.record_file, RunRecord)

    def result(self) -> RunResult | None:
        """Return what was found, or None while the run is not finished; raises DamagedFileError."""
        return _if_there(self.result_file, RunResult)

    def failure(self) -> str | None:
        """Return why the run failed, or None where it did not."""
        try:
            failure = _if_there(self.failure_file, Failure)
        except DamagedFileError:
            return f"for a reason that cannot be read any more; see {self.log}"
        return failure.reason if failure else None

    def lens(self) -> LensRecord | None:
        """Return what the lens found, or None; raises DamagedFileError."""
        return _if_there(self.lens_file, LensRecord)

    def whole_result(self) -> RunResult | None:
        """Return what was found, or None where there is no result that is whole."""
        try:
            return self.result()
        except DamagedFileError:
            return None

    def is_finished(self) -> bool:
        """Whether a whole result is there."""
        return self.whole_result() is not None

    def is_known(self, study: str | None, design: Design = Design.PLANNED) -> bool:
        """Whether there is a record that says that the run belongs to `study` and `design`."""
        try:
            record = self.record()
        except (FileNotFoundError, DamagedFileError):
            return False
        return record == _asked_too(record, study, design)

    def open(
        self, spec: RunSpec, command: str, study: str | None, design: Design = Design.PLANNED
    ) -> None:
        """Create the folder and record what was asked, by which study and under which design.

        A run that was planned is sequential once it is asked for so, and never the reverse.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        before: RunRecord | None = None
        try:
            before = self.record()
        except (FileNotFoundError, DamagedFileError):
            if self.record_file.exists() and not self.record_file.is_file():
                set_aside(self.record_file)  # a folder cannot be replaced
        record = _asked_too(before or RunRecord(spec, command), study, design)
        if record != before:
            write_record(self.record_file, record)

    def mend(self) -> list[str]:
        """Set damaged records aside and remove temporary files; return what to tell the user."""
        lines = []
        for file, read in ((self.result_file, self.result), (self.lens_file, self.lens)):
            try:
                read()
            except DamagedFileError as error:
                lines.append(f"{error}; it is set aside as {set_aside(file)}")
        for file in self.temporary():
            file.unlink()
        return lines

    def finish(self, result: RunResult) -> None:
        """Record what was found; the checkpoint has then served its purpose."""
        write_record(self.result_file, result)
        for file in self.checkpoints:
            file.unlink()

    def record_failure(self, reason: str) -> None:
        """Note why the run failed, until it is taken up again."""
        write_record(self.failure_file, Failure(reason))

    def forget_failure(self) -> None:
        """Take back `record_failure`, because the run is taken up again."""
        self.failure_file.unlink(missing_ok=True)


def _asked_too(record: RunRecord, study: str | None, design: Design) -> RunRecord:
    """Return the record of a run that is asked for by this study and design as well."""
    if study is not None and study not in record.studies:
        record = replace(record, studies=(*record.studies, study))
    if design is Design.SEQUENTIAL and record.design is not design:
        record = replace(record, design=design)
    return record


def _if_there(path: Path, kind: type[T]) -> T | None:
    try:
        return read_record(path, kind)
    except FileNotFoundError:
        return None
