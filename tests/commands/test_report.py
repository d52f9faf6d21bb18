"""`normexp report` as it is typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.typed import normexp


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of a study, one of them unfinished, and one run more."""
    folder = tmp_path_factory.mktemp("typed")
    outputs = folder / "outputs"
    make_study(outputs, ["batch", "both"], [8], 2, lambda *_: 0.5, study="quickstart")
    make_run(outputs, "unfinished", norm="none", study="quickstart")
    make_run(outputs, 0.5, norm="serial", study="other")
    return folder


def test_a_study_has_a_page_with_its_question(folder: Path) -> None:
    answer = normexp(folder, "report", "study=quickstart")
    assert (answer.code, answer.err) == (0, "")
    told, page = answer.out.splitlines()
    assert told == "5 runs, 1 of them not finished"
    assert page == "open outputs/reports/quickstart/index.html in a browser"
    text = (folder / "outputs/reports/quickstart/index.html").read_text(encoding="utf-8")
    assert "What do batch norm, instance norm, both and none do to training" in text
    assert "normexp report study=quickstart" in text
    assert "serial" not in text


def test_all_runs_have_a_page_and_any_key_makes_the_table(folder: Path) -> None:
    answer = normexp(folder, "report", "by=[norm,optimizer.lr]", "reference=both", "margin=2")
    assert answer.code == 0
    text = (folder / "outputs/reports/all/index.html").read_text(encoding="utf-8")
    assert "optimizer.lr 0.1" in text
    assert "serial − both" in text
    assert "within ±2 points" in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["study=quick"], "study=quick: no run in outputs belongs to it; did you mean quickstart?"),
        (["by=norms"], "by=norms: no run has such a setting; did you mean norm?"),
        (["by=[a,b,c]"], "by=[a,b,c]: one or two settings are needed"),
        (["reference=bath"], "reference=bath: no run has it; there are: batch, both"),
        (["by=batch_size", "reference=17"], "reference=17: no run has it; there are: 8"),
        (["margin=-1"], "margin=-1: a number from 0 to 100 is needed"),
        (["margin=half"], "margin=half: a number from 0 to 100 is needed"),
        (["level=95"], "level=95: a number from 0.5 to 0.999 is needed"),
        (["runtime.outputs=empty"], "there is no run in empty; make one: normexp train"),
    ],
)
def test_a_mistake_is_told_in_a_line(arguments: list[str], line: str, folder: Path) -> None:
    answer = normexp(folder, "report", *arguments)
    assert answer.code == 1
    assert answer.err.startswith(f"normexp: {line}")
    assert len(answer.err.splitlines()) == 1


def test_the_report_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from normexp.cli import run; "
        "assert run(['report', 'study=other', 'by=norm']) == 0; "
        "assert not {'torch', 'torchvision', 'tensorboard'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_a_full_disk_is_told_in_a_line(folder: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.write_text("in the way")
    make_run(tmp_path, 0.5)
    answer = normexp(folder, "report", f"runtime.outputs={tmp_path}")
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1


def test_the_numbers_of_a_csv_file_are_told_with_a_margin_of_their_own(tmp_path: Path) -> None:
    rows = [f"{m},{seed},{0.8 + gain + 0.01 * seed}" for m, gain in (("a", 0), ("b", 0.1))
            for seed in range(6)]  # fmt: skip
    (tmp_path / "results.csv").write_text("\n".join(["method,seed,share", *rows]))
    typed = ("csv=results.csv", "compare=method", "seed=seed", "metric=share")
    answer = normexp(tmp_path, "report", *typed)
    assert (answer.code, answer.err) == (0, "")
    told, page = answer.out.splitlines()[-2:]
    assert told.startswith("method=b: share is 0.1 higher than with a (decided)")
    assert page == "open outputs/reports/results/index.html in a browser"
    assert (tmp_path / "outputs/reports/results/index.html").exists()
