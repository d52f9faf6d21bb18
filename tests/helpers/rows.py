"""The runs below a folder."""

from pathlib import Path

from normexp.analysis.rows import Run, of_study
from normexp.runs.catalogue import read_runs


def runs(*outputs: Path, study: str | None = None) -> list[Run]:
    return of_study(read_runs(*outputs), outputs, study)
