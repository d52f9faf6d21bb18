"""What was measured for a claim without training, on disk, as rows like those of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normexp.errors import UserError
from normexp.report.runs import Row
from normexp.runs.files import DamagedFileError, read_json, write_json


def write_measured(
    outputs: Path, claim: str, command: str, found: Sequence[Mapping[str, Any]]
) -> Path:
    """Keep what `command` found: `settings`, `seed` and `values` of each network measured."""
    path = _file(outputs, claim)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"claim": claim, "command": command, "rows": list(found)})
    return path


def measured_rows(outputs: Path, claim: str) -> list[Row]:
    """Return what was measured for a claim, nothing where nothing was; raises UserError."""
    path = _file(outputs, claim)
    try:
        content = read_json(path)
    except FileNotFoundError:
        return []
    except DamagedFileError as error:
        raise UserError(f"{error}; remove it, and measure again") from error
    return [
        Row(
            name=f"{claim} measured",
            path=path,
            settings={**row["settings"], "seed": row["seed"]},
            state="finished",
            failure=None,
            result=row["values"],
            studies=(),
            command=content["command"],
        )
        for row in content["rows"]
    ]


def _file(outputs: Path, claim: str) -> Path:
    return outputs / "claims" / f"{claim}.json"
