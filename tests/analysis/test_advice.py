"""What the runs advise, from rows made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.made import made
from helpers.typed import normexp

from normexp.analysis.advice import advice
from normexp.analysis.rows import Run

JITTER = (0.001, -0.001, 0.002, -0.002, 0.0005, -0.0005, 0.001, -0.001)


def runs(norm: str, accuracy: float, seeds: int = 8, **settings: Any) -> list[Run]:
    """Runs of a batch size of 4 whose accuracy falls by a tenth with each contrast severity."""
    settings = {"batch_size": 4, "data__name": "cifar10", "norm": norm, **settings}
    return [made(accuracy + jitter, seed=i, **settings) for i, jitter in enumerate(JITTER[:seeds])]


def lines(rows: Sequence[Run], batch_size: int = 4, contrast: str = "steady") -> list[str]:
    return list(advice(rows, batch_size, contrast, margin=0.5))


def test_the_better_norm_is_advised_with_its_interval_its_lead_and_its_cost() -> None:
    found = lines(runs("instance", 0.8) + runs("batch", 0.7))
    assert found[0] == "Use instance: test accuracy 80.0 [79.9, 80.1] %."
    assert found[1] == "  10.0 points [10.0, 10.0] above batch, 8 seeds: a difference"
    assert found[2] == "Cost, in images a second of training: instance 200, batch 200."
    assert found[3].startswith("From 16 runs: model=cnn data=cifar10 contrast=none optimizer=sgd ")
    assert found[4] == "Missing: runs of norm=both,group."


def test_where_contrast_varies_the_severities_count() -> None:
    rows = runs("instance", 0.8) + runs("batch", 0.7)
    # 80 · (1 + 0.9 + 0.8 + 0.7 + 0.6 + 0.5) / 6
    told = "Use instance: accuracy over contrast severities 0 to 5 60.0 [59.9, 60.1] %."
    assert lines(rows, contrast="varies")[0] == told


def test_norms_that_are_the_same_are_said_to_be_and_their_cost_tells() -> None:
    found = lines(runs("both", 0.801) + runs("batch", 0.8))
    assert found[0].startswith("Use both: ")
    assert found[1].endswith("above batch, 8 seeds: the same, by less than the margin")
    assert "both 200, batch 200" in found[2]


def test_too_few_seeds_cannot_tell_and_how_many_are_missing_is_said() -> None:
    found = lines(runs("instance", 0.72, 3) + runs("batch", 0.7, 3))
    assert found[0].startswith("Cannot tell whether instance is better than batch. It is ahead: ")
    assert "Missing: 6 seeds of each norm, for 1 pair; the fewest are 3." in found


def test_the_family_is_the_best_against_every_other() -> None:
    # The smallest p of six seeds is 2/64 = 0.031, which counts twice against two others.
    two = runs("instance", 0.8, 6) + runs("batch", 0.7, 6)
    assert lines(two)[0].startswith("Use instance: ")
    assert lines(two + runs("both", 0.75, 6))[0].startswith("Cannot tell whether instance is ")


def test_of_one_seed_nothing_follows() -> None:
    found = lines(runs("instance", 0.8, 1) + runs("batch", 0.7, 1))
    assert found[0].startswith("Cannot tell: instance is ahead, test accuracy 80.1 %, but of one")


def test_without_runs_near_it_says_so_and_what_to_run() -> None:
    found = lines(runs("instance", 0.8, batch_size=128), batch_size=4)
    assert found[0] == "Cannot tell: no run is near batch_size=4; there are runs at 128."
    assert found[1].startswith("normexp train -m norm=")
    assert lines([], batch_size=4)[0].endswith("no run has ended.")


def test_a_batch_size_within_a_factor_of_two_is_near_and_told() -> None:
    rows = runs("instance", 0.8, batch_size=8) + runs("batch", 0.7, batch_size=8)
    assert "No run has batch_size=4 itself." in lines(rows, batch_size=4)
    assert lines(rows, batch_size=3)[0].startswith("Cannot tell: no run is near")


def test_drawn_images_prove_nothing() -> None:
    rows = runs("instance", 0.8, data__name="generated") + runs(
        "batch", 0.7, data__name="generated"
    )
    assert "These are drawn images: they prove nothing about photographs." in lines(rows)


def test_only_runs_that_differ_in_nothing_else_are_compared() -> None:
    rows = runs("instance", 0.8, epochs=20) + runs("instance", 0.6) + runs("batch", 0.7)
    assert lines(rows)[0].startswith("Use batch: ")


def test_one_norm_alone_is_no_advice() -> None:
    told = "Cannot tell: of norms with a result there is only batch."
    assert lines(runs("batch", 0.7))[0] == told


def test_norms_that_were_run_in_several_ways_are_told_apart() -> None:
    rows = runs("ghost", 0.8, norm__layer={"ghost_size": 2})
    rows += runs("ghost", 0.7, norm__layer={"ghost_size": 16})
    assert lines(rows)[0].startswith("Use ghost norm.layer.ghost_size=2: ")


def test_runs_that_diverged_are_told() -> None:
    rows = runs("batch", 0.7) + runs("instance", 0.8)
    rows += [
        made("diverged", norm="none", batch_size=4, data__name="cifar10", seed=s) for s in range(8)
    ]
    assert lines(rows)[0] == "none: 8 of 8 runs diverged."
    assert lines(rows)[1].startswith("Use instance: ")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["batchsize=4"], "there is no setting 'batchsize'; did you mean batch_size?"),
        (["batch_size=none"], "batch_size=none: a whole number of 1 or more is needed"),
        (["contrast=jitter"], "contrast=jitter: one of steady, varies is needed"),
        (["margin=-1"], "margin=-1: a number of 0 or more is needed"),
        (["4"], "'4' is not of the form key=value, such as batch_size=4"),
        ([], "there is no run in outputs; make one: normexp train"),
    ],
)
def test_a_mistake_is_told_in_a_line(typed: list[str], told: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "advise", *typed)
    assert (answer.code, answer.out, answer.err) == (1, "", f"normexp: {told}\n")


def test_the_help_shows_the_settings(tmp_path: Path) -> None:
    assert "batch_size: 128" in normexp(tmp_path, "advise", "--help").out
