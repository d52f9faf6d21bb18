"""What a report opens with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.made import make_run, make_study
from helpers.rows import runs

from normexp.analysis.report.accuracy import accuracy_section
from normexp.analysis.report.answer import answer, what_next
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import compare_cells
from normexp.analysis.report.prose import said
from normexp.tuned import Tuned, key_of

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
    line, rates = told(tmp_path)
    assert rates.startswith("One learning rate for all norms")
    assert line.startswith("With instance norm, test accuracy is ")
    assert " 10.0 points higher than with batch norm at batch size 4 (decided)" in line
    assert line.endswith(" 20.0 points lower at batch size 8 (decided).")


def test_what_holds_everywhere_is_said_once_and_none_is_no_norm(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "none"], [4, 8, 16], 8, level)
    line, _ = told(tmp_path)
    assert line.startswith("With no norm, ")
    assert "lower than with batch norm at every batch size (decided)" in line


def test_few_seeds_are_told_as_open_and_a_norm_alone_with_its_accuracy(tmp_path: Path) -> None:
    make_study(tmp_path / "two", ["batch", "instance"], [8], 2, level)
    line, _ = told(tmp_path / "two")
    assert "not decided against batch norm at batch size 8 (open: behind by " in line
    make_run(tmp_path / "one", 0.5, norm="batch", batch_size=8)
    (line,) = told(tmp_path / "one")
    assert "50.0 % at batch size 8" in line


def test_a_norm_that_never_learns_comes_first_with_what_to_do_and_no_grade(tmp_path: Path) -> None:
    def found(norm: str, size: int, seed: int) -> float:
        return 0.1 if norm == "instance" and size != 4 else level(norm, 4, seed)

    make_study(tmp_path, ["batch", "instance"], [4, 8, 16], 3, found)
    first, *others = told(tmp_path)
    assert "not above chance (10 %) with instance norm in 6 of 6 runs at batch sizes 8 and" in first
    assert "normexp tune" in first
    (of_instance,) = (line for line in others if line.startswith("With instance norm"))
    assert "at batch size 4 (likely)" in of_instance
    assert not {"8", "16"} & {*of_instance.partition("than")[2].split()}
    (block,) = blocks(runs(tmp_path), BY)
    _, code = what_next(block, compare_cells([block], None, 0.5), [])
    tune, further = code.splitlines()
    assert tune == "normexp tune norm=batch,instance batch_size=8,16"
    assert further == "normexp train -m norm=instance,batch batch_size=4 until=decided"


def test_what_is_sure_comes_first_and_what_has_no_pair_is_left_out(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "none"], [4, 8, 16], 8, level)
    make_study(tmp_path, ["instance"], [4], 1, level)
    make_study(tmp_path, ["instance"], [8], 8, level)
    make_run(tmp_path, 0.5, norm="instance", batch_size=16, seed=9)
    lines = told(tmp_path)
    assert [line.split(",")[0] for line in lines[:2]] == ["With no norm", "With instance norm"]
    assert lines[1].index("decided") < lines[1].index("not decided against batch norm at batch")
    assert not any("not compared" in line for line in lines)


def test_tuned_rates_are_not_advised_again(tmp_path: Path) -> None:
    make_study(
        tmp_path, ["batch", "instance"], [8], 3, lambda n, _, s: 0.5 if n == "batch" else 0.1
    )
    found = runs(tmp_path)
    (block,) = blocks(found, BY)
    tuned = [Tuned("", key_of(run.spec), run.spec.optimizer.lr, False, ()) for run in found]
    compared = compare_cells([block], None, 0.5)
    assert [*answer([block], compared, None, tuned)] == [
        "Test accuracy is not above chance (10 %) with instance norm in 3 of 3 runs at batch size "
        "8: train longer."
    ]
    assert what_next(block, compared, tuned)[1] == ""


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


@pytest.mark.parametrize("shift", [0, 8])
def test_strengths_of_an_augmentation_are_compared_each_of_its_own(
    shift: int, tmp_path: Path
) -> None:
    for seed in range(8):
        shared = 0.5 + 0.02 * seed
        make_run(tmp_path, shared, seed=seed)
        make_run(tmp_path, shared, seed=seed + 8)
        for i, low in enumerate((0.3, 0.6)):
            part = {"_target_": "contrasts.jitter", "low": low}
            changes: dict[str, Any] = {"contrast": "jitter", "contrast__augmentation": part}
            make_run(tmp_path, round(shared + 0.1 * low, 6), seed=seed + i * shift, **changes)
    tried = Augmentation.of(runs(tmp_path), BY, 0.5)
    assert tried is not None
    for (kind, _, comparison), points in zip(tried.found, (3, 6), strict=True):
        assert kind == f"jitter low=0.{points}"
        assert comparison.graded is not None
        assert comparison.graded.mean == pytest.approx(points)
    assert any("augmentation jitter low=0.3, against no" in line for line in tried.sentences)


def test_without_a_run_without_augmentation_there_is_no_factor(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, contrast="jitter")
    make_run(tmp_path, 0.5, contrast="strong")
    assert Augmentation.of(runs(tmp_path), BY, 0.5) is None
    assert said("contrast", "none") == "no augmentation"
