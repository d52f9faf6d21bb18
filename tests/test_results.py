"""docs/results is what `scripts/results` makes of the runs that ship."""

from __future__ import annotations

import importlib.util
import json
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers.made import make_study, spec
from helpers.ship import rows_of, ship

from normexp.analysis.advice import advice
from normexp.analysis.evidence import shipped
from normexp.runs import reference
from normexp.runs.plain import to_plain
from normexp.runs.reference import About
from normexp.tuned import Tuned, TunedFile, add_to_file, file_of, key_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "results"


@pytest.fixture
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_those_of_the_rows(results: ModuleType) -> None:
    for file, text in results.pages(FOLDER).items():
        assert file.exists(), f"{file.name} is missing: scripts/results writes it"
        assert file.read_text(encoding="utf-8") == text, f"{file.name}: run scripts/results"
        for name, study, by in results.tables_of(text):
            if name == "accuracy":
                for part in range(len(results.parts_of(study, by))):
                    assert (FOLDER / f"{results.figure_name(study, part)}.svg").exists()


def test_every_run_that_ships_is_of_a_study_that_a_page_names(results: ModuleType) -> None:
    studies = {study for row in reference.rows(without="tuning_") for study in row.record.studies}
    texts = [file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")]
    assert studies <= {study for text in texts for _, study, _ in results.tables_of(text)}


@pytest.mark.parametrize("contrast", ["steady", "varies"])
def test_the_rows_advise_at_each_of_their_batch_sizes(contrast: str) -> None:
    evidence = shipped()
    for size in {run.spec.batch_size for run in evidence.runs}:
        lines = list(advice(evidence.runs, size, contrast, 0.5, evidence.tuned))
        assert "What was trained:" in lines, size


def test_a_study_that_is_new_gets_a_page_and_prose_stays(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    make_study(
        tmp_path, ["batch", "both"], [4, 8], 3, lambda n, *_: 0.5 + (n == "both") / 10, "grid"
    )
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path))
    (new,) = results.pages(docs).items()
    assert new[0] == docs / "grid.md"
    assert new[1].startswith("# Grid\n\nBatch norm or instance norm, at which batch size")
    assert "| both | 60.0 [60.0, 60.0] |" in new[1]
    assert "normexp train -m norm=batch,both batch_size=4,8 seed=0,1,2" in new[1]
    mine = new[1].replace("## Differences", "Written by hand.\n\n## Differences")
    new[0].write_text(mine.replace("60.0", "99.9"))
    assert results.pages(docs) == {docs / "grid.md": mine}
    results.write_figures(docs, "grid", "")
    assert sorted(file.name for file in docs.glob("*.svg")) == [
        "grid.svg", "grid_by_contrast.svg", "grid_dark.svg",
    ]  # fmt: skip


def test_rates_that_are_added_come_beside_those_of_other_cells_of_their_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, none, again = (
        TunedFile("normexp tune study=s", (Tuned(norm, key_of(spec(norm=norm)), lr, False, ()),))
        for norm, lr in (("batch", 0.1), ("none", 0.2), ("batch", 0.4))
    )
    tuned = {"s": json.loads(json.dumps(to_plain(batch)))}
    ship(monkeypatch, tmp_path / "ship.xz", [], About(version=7, tuned=tuned))
    add_to_file(file_of(tmp_path / "a", "s"), none)
    add_to_file(file_of(tmp_path / "b", "s"), again)
    script, page = tmp_path / "scripts" / "reference.py", tmp_path / "docs/results/data.md"
    for file in (script, page):
        file.parent.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "reference.py", script)  # it writes the page beside it
    page.write_text("")
    folders = (str(tmp_path / name) for name in "ab")
    monkeypatch.setattr(sys, "argv", ["scripts/reference", "add", *folders, "note=more rates"])
    runpy.run_path(str(script))
    monkeypatch.setattr(reference, "FILE", (tmp_path / "ship.xz").rename(tmp_path / "new.xz"))
    found = reference.about().tuned["s"]["cells"]
    assert [(cell["cell"], cell["lr"]) for cell in found] == [("batch", 0.4), ("none", 0.2)]
