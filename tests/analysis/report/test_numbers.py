"""The report on a CSV file of anybody's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from normexp.analysis.report.numbers import Columns, numbers_of, write_numbers_report
from normexp.errors import UserError

COLUMNS = Columns("method", "run", "score")
OURS = (0.84, 0.86, 0.83, 0.87, 0.85, 0.86, 0.84, 0.88)
BASE = (0.80, 0.81, 0.80, 0.82, 0.80, 0.83, 0.80, 0.82)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "results.csv"
    rows = [f"{name},{run}x,{score},a" for name, of in (("base", BASE), ("ours", OURS))
            for run, score in enumerate(of)]  # fmt: skip
    file.write_text("\n".join(["method,run,score,note", *rows]))
    return file


def report(file: Path, margin: float = 0.0, reference: str | None = None) -> list[str]:
    scores = numbers_of(file, COLUMNS)
    to = file.parent / "report"
    return write_numbers_report(scores, COLUMNS, reference, margin, 0.95, origin="here", to=to)


def test_rows_are_paired_by_seed_and_graded(file: Path) -> None:
    shown = report(file)
    line = next(line for table in shown for line in table.splitlines() if "ours − base" in line)
    mean = sum(a - b for a, b in zip(OURS, BASE, strict=True)) / 8
    assert f"{mean:.3g}" in line
    assert "decided" in line
    assert f"{2 / 2**8:.3f}" in line  # the smallest p of eight sign flips
    text = (file.parent / "report" / "report.md").read_text(encoding="utf-8")
    low, high = stats.t.interval(0.95, 7, sum(OURS) / 8, stats.sem(OURS))
    assert f"[{low:.4g}, {high:.4g}]" in text
    assert f"| **{sum(OURS) / 8:.4g}** |" in text  # the highest
    assert "| 0.81 |" in text  # decided to be lower
    assert rf"\textbf{{{sum(OURS) / 8:.4g}}}" in (file.parent / "report" / "report.tex").read_text()


def test_an_interval_that_is_cut_at_0_is_told_without_it(tmp_path: Path) -> None:
    values = {
        "a": (0.0,) * 8,
        "b": (0.3, 4.5, 1.4, 0.8, 0.9, 0.5, 0.1, 0.8),
        "c": (3.5, 2.8, 4.0, 2.8, 3.0, 4.5, 3.5, 2.5),
    }
    rows = [f"{m},{i},{v}" for m, of in values.items() for i, v in enumerate(of)]
    file = tmp_path / "numbers.csv"
    file.write_text("\n".join(["method,run,score", *rows]))
    line = next(x for t in report(file, reference="a") for x in t.splitlines() if "b − a" in x)
    assert "decided" in line
    assert "(0, " in line


def test_the_margin_is_in_the_unit_of_the_numbers(file: Path) -> None:
    assert "the same score, within ±0.2" in report(file, margin=0.2)[-2]
    assert "higher than with base (decided)" in report(file)[-2]
    assert "lower than with ours (decided)" in report(file, reference="ours")[-2]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (Columns("methods", "run", "score"), "compare=methods: .* did you mean method?.* note"),
        (Columns("method", None, "score"), "seed is not given; add seed=<column>: .* method, run"),
        (Columns("method", "run", "note"), "line 2: note=a is no finite number"),
        (Columns("method", "note", "score"), "a second row has method=base and note=a, in line 3"),
    ],
)
def test_a_wrong_column_is_told_with_those_that_exist(
    columns: Columns, line: str, file: Path
) -> None:
    with pytest.raises(UserError, match=line):
        numbers_of(file, columns)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_of_another_encoding_is_told(encoding: str, file: Path) -> None:
    file.write_text("method,run,score\ncafé,0,1\n", encoding=encoding)
    with pytest.raises(UserError, match=r"csv=.*results\.csv: .*save it as UTF-8"):
        numbers_of(file, COLUMNS)


def test_a_reference_that_no_row_has_is_told(file: Path) -> None:
    with pytest.raises(UserError, match="reference=bath: no row has it; there are: base, ours"):
        report(file, reference="bath")
