"""The comparisons of a report, judged by tests that hold at every look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from normexp import build
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import CellComparison, compare_cells
from normexp.analysis.rows import Run
from normexp.runs.spec import Design


def judge(runs: Sequence[Run]) -> list[CellComparison]:
    """Return the comparisons of norms that differ in nothing else, those without runs left out."""
    settings = of_a_report()
    found = compare_cells(
        blocks(runs, settings["by"]), settings["reference"], settings["margin"], Design.SEQUENTIAL
    )
    return [each for each in found if all(each.sides)]


def of_a_report() -> Mapping[str, Any]:
    """Return what a report compares by itself."""
    return OmegaConf.load(Path(build.conf_dir(), "report.yaml"))  # type: ignore[return-value]
