"""What a report opens with."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.rows import runs

from normexp.analysis.report.accuracy import accuracy_section
from normexp.analysis.report.answer import answer
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import compare_cells
from normexp.analysis.report.prose import said

BY = ["norm", "batch_size"]
NOISE = (0.0, 0.004, -0.003, 0.002, -0.001, 0.003, -0.004, 0.001)


def told(outputs: Path) -> list[str]:
    found = runs(outputs)
    parts = blocks(found, BY)
    tried = Augmentation.of(found, BY, 0.5)
    return [*answer(parts, compare_cells(parts, None, 0.5), tried)]


def level(norm: str, batch_size: int, seed: int) -> float:
    """Instance norm leads by 10 points at 4, is 20 behind at 8; none is 30 behind at both."""
    lead = {"batch": 0.0, "instance": 0.1 if batch_size == 4 else -0.2, "none": -0.3}[norm]
    own = NOISE[(seed + len(norm)) % 8]
    return round(0.5 + lead + 0.01 * seed + own, 6)


def test_the_answer_names_the_norm_the_points_the_place_and_the_grade(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "instance"], [4, 8], 8, level)
    (line,) = told(tmp_path)
    assert line.startswith("With instance norm, test accuracy is ")
    assert " 10.0 points higher than with batch norm at batch size 4 (decided)" in line
    assert line.endswith(" 20.0 points lower at batch size 8 (decided).")


def test_what_holds_everywhere_is_said_once_and_none_is_no_norm(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "none"], [4, 8, 16], 8, level)
    (line,) = told(tmp_path)
    assert line.startswith("With no norm, ")
    assert "lower than with batch norm at every batch size (decided)" in line


def test_few_seeds_are_told_as_open_and_a_norm_alone_with_its_accuracy(tmp_path: Path) -> None:
    make_study(tmp_path / "two", ["batch", "instance"], [8], 2, level)
    (line,) = told(tmp_path / "two")
    assert "not decided against batch norm at batch size 8 (open: behind by " in line
    make_run(tmp_path / "one", 0.5, norm="batch", batch_size=8)
    (line,) = told(tmp_path / "one")
    assert "50.0 % at batch size 8" in line


def test_the_best_and_what_is_not_decided_to_be_worse_stand_out(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "instance", "none"], [4, 8], 8, level)
    for seed in range(8):
        make_run(tmp_path, 0.498 + 0.01 * seed, norm="group", batch_size=8, seed=seed)
    (block,) = blocks(runs(tmp_path), BY)
    section = accuracy_section(block, 0.5, 0.95, "")
    (table,) = section.tables
    bold = {(table.rows[i][0], table.head[j]) for i, j in table.bold}
    assert bold == {
        ("instance", "batch size 4"),
        ("batch", "batch size 8"),
        ("group", "batch size 8"),
    }


@pytest.mark.parametrize(("jitter", "word"), [(0.05, "helps (decided)"), (-0.05, "harms")])
def test_augmentation_is_a_factor_paired_by_seed(jitter: float, word: str, tmp_path: Path) -> None:
    for seed in range(8):
        shared = 0.5 + 0.02 * seed
        make_run(tmp_path, shared, seed=seed)
        make_run(tmp_path, round(shared + jitter + NOISE[seed], 6), seed=seed, contrast="jitter")
    tried = Augmentation.of(runs(tmp_path), BY, 0.5)
    assert tried is not None
    ((kind, place, comparison),) = tried.found
    assert (kind, place) == ("jitter", "batch norm, batch size 8")
    assert comparison.graded is not None
    assert comparison.graded.mean == pytest.approx(100 * jitter + 100 * sum(NOISE) / 8)
    assert told(tmp_path)[-1].startswith(
        f"Contrast augmentation jitter, against no augmentation: {word}"
    )


def test_without_a_run_without_augmentation_there_is_no_factor(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, contrast="jitter")
    make_run(tmp_path, 0.5, contrast="strong")
    assert Augmentation.of(runs(tmp_path), BY, 0.5) is None
    assert said("contrast", "none") == "no augmentation"
