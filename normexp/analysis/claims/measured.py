"""What was measured for a claim without training, on disk."""

from __future__ import annotations

from pathlib import Path

from normexp.analysis.rows import MeasuredNetwork
from normexp.errors import UserError
from normexp.runs.files import DamagedFileError, read_record, write_record
from normexp.runs.record import Measurements


def write_measured(outputs: Path, measured: Measurements) -> None:
    path = _file(outputs, measured.claim)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, measured)


def measured_rows(outputs: Path, claim: str) -> list[MeasuredNetwork]:
    """Return what was measured for a claim, nothing where nothing was; raises UserError."""
    path = _file(outputs, claim)
    try:
        measured = read_record(path, Measurements)
    except FileNotFoundError:
        return []
    except DamagedFileError as error:
        raise UserError(f"{error}; remove it, and measure again") from error
    return [
        MeasuredNetwork(f"{claim} measured", path, row.seed, row.settings, row.values)
        for row in measured.rows
    ]


def _file(outputs: Path, claim: str) -> Path:
    return outputs / "claims" / f"{claim}.json"
