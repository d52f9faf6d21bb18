"""What was measured for a claim without training, on disk."""

from pathlib import Path

from normexp.analysis.rows import MeasuredNetwork
from normexp.errors import UserError
from normexp.runs.files import DamagedFileError, read_record, write_record
from normexp.runs.record import Measurements
from normexp.runs.reference import FILE as SHIPPED


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
    return measured_of(measured, path)


def measured_of(measured: Measurements, path: Path = SHIPPED) -> list[MeasuredNetwork]:
    """Return the networks of a record, which `path` has."""
    name = f"{measured.claim} measured"
    return [MeasuredNetwork(name, path, r.seed, r.settings, r.values) for r in measured.rows]


def _file(outputs: Path, claim: str) -> Path:
    return outputs / "claims" / f"{claim}.json"
