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

    def clear(self) -> None:
        """Remove what a process that was killed as it wrote has left."""
        for left_over in self.path.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)

    def record(self) -> dict[str, Any]:
        """Return what was asked; raises FileNotFoundError and DamagedFileError."""
        return read_json(self.record_file)

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
        self.checkpoint.unlink(missing_ok=True)
