"""The folder of a run: `run.json` (asked), `checkpoint.pt` (so far), `result.json` (found)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normexp.runs.files import DamagedFileError, read_json, set_aside, write_json
from normexp.runs.spec import RunSpec


@dataclass(frozen=True)
class RunFolder:
    """Paths and records of one run. Nothing is created before `open` is called."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Everything that is needed to go on."""
        return self.path / "checkpoint.pt"

    @property
    def checkpoint_before(self) -> Path:
        """The checkpoint before that one, for when it is damaged or not whole yet."""
        return self.path / "checkpoint.before.pt"

    @property
    def checkpoints(self) -> list[Path]:
        """What there is to go on from, the latest first."""
        both = (self.checkpoint, self.checkpoint_before)
        return [file for file in both if file.exists()]

    @property
    def weights(self) -> Path:
        """The trained network's state dict."""
        return self.path / "weights.pt"

    @property
    def result_file(self) -> Path:
        """Its presence means that the run is finished."""
        return self.path / "result.json"

    @property
    def record_file(self) -> Path:
        """What was asked."""
        return self.path / "run.json"

    def open(self, spec: RunSpec, command: str) -> None:
        """Create the folder and record, once, what was asked; `command` does the run by hand."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.record()
        except (FileNotFoundError, DamagedFileError):
            asked = {"name": spec.name, "command": command, "settings": spec.settings}
            write_json(self.record_file, {**asked, "studies": []})

    def unwritten(self) -> list[Path]:
        """Return what a process that was killed as it wrote has left."""
        return list(self.path.glob(".*.tmp"))

    def left_over(self) -> list[Path]:
        """Return what a finished run has no use for."""
        return self.unwritten() + self.checkpoints

    def record(self) -> dict[str, Any]:
        """Return what was asked; raises FileNotFoundError and DamagedFileError."""
        return read_json(self.record_file)

    def has_joined(self, study: str | None) -> bool:
        """Whether there is a record, and the run is known to belong to `study`."""
        try:
            studies = self.record()["studies"]
        except (FileNotFoundError, DamagedFileError):
            return False
        return study is None or study in studies

    def join_study(self, study: str | None) -> None:
        """Record that the run, which may belong to several studies, belongs to `study`."""
        record = self.record()
        if study is not None and study not in record["studies"]:
            write_json(self.record_file, {**record, "studies": [*record["studies"], study]})

    def result(self) -> dict[str, Any] | None:
        """Return what was found, or None while the run is not finished.

        A damaged result is none: it is set aside, which is told on the screen.
        """
        try:
            return read_json(self.result_file)
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            print(f"{error}; it is set aside as {set_aside(self.result_file)}", file=sys.stderr)
            return None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record what was found; the checkpoint has then served its purpose."""
        write_json(self.result_file, result)
        for file in self.checkpoints:
            file.unlink()
