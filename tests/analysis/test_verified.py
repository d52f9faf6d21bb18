"""A run that was trained again against the run that ships."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.made import result, spec

from normexp.analysis.intervals import prediction_interval
from normexp.analysis.verified import Outcome, compare, without_verdict
from normexp.runs.result import Environment, Inputs, RunResult

OTHERS = (60.0, 61.0, 62.0, 63.0, 64.0)
HERE = replace(result(spec(), 0.62).environment, instructions="AVX2")
OTHER = replace(HERE, instructions="AVX512")


def found(accuracy: float, environment: Environment = HERE) -> RunResult:
    return replace(result(spec(), accuracy), environment=environment)


def test_the_prediction_interval_is_that_of_one_more_value() -> None:
    # Tables: the 0.9995 quantile of Student's t is 8.610 at 4 degrees of freedom, 636.62 at 1.
    interval = prediction_interval(OTHERS, 0.999)
    assert interval
    half = 8.610 * 2.5**0.5 * (1 + 1 / 5) ** 0.5
    assert (interval.low, interval.high) == pytest.approx((62 - half, 62 + half), abs=2e-3)
    two = prediction_interval([1.0, 3.0], 0.999)
    assert two
    assert two.high == pytest.approx(2 + 636.62 * 2**0.5 * 1.5**0.5, rel=1e-4)
    assert prediction_interval([1.0], 0.999) is None


def test_equal_bits_are_equal_whatever_the_machine_and_the_time_it_took() -> None:
    again = found(0.62, OTHER)
    again = replace(again, timing=replace(again.timing, seconds=999.0))
    assert compare(found(0.62), again, OTHERS).outcome is Outcome.EQUAL


def test_a_run_from_before_inputs_were_recorded_may_be_equal() -> None:
    inputs = Inputs(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    now = replace(found(0.62), inputs=inputs)
    assert compare(found(0.62), now, OTHERS).outcome is Outcome.EQUAL
    other = replace(now, inputs=replace(inputs, mean=(0.4, 0.5, 0.5)))
    assert compare(now, other, OTHERS).outcome is Outcome.OUTSIDE


@pytest.mark.parametrize(
    ("accuracy", "outcome"), [(0.7, Outcome.WITHIN), (0.4, Outcome.OUTSIDE), (0.8, Outcome.OUTSIDE)]
)
def test_on_another_machine_the_interval_of_the_cell_decides(
    accuracy: float, outcome: Outcome
) -> None:
    compared = compare(found(0.62), found(accuracy, OTHER), OTHERS)
    assert compared.outcome is outcome
    assert "62.00 %" in compared.words
    assert f"{100 * accuracy:.2f} %" in compared.words


def test_on_the_same_kind_of_machine_other_bits_are_outside() -> None:
    another_python = replace(HERE, python="3.13.0")
    assert compare(found(0.62), found(0.621, another_python), OTHERS).outcome is Outcome.OUTSIDE
    # What machine it was is not known: its bits need not be these.
    unknown = replace(HERE, instructions="")
    assert compare(found(0.62, unknown), found(0.621, unknown), OTHERS).outcome is Outcome.WITHIN


@pytest.mark.parametrize(
    "other",
    [
        replace(HERE, torch="2.99"),
        replace(HERE, kernels="none"),
        replace(HERE, normexp="9"),
        replace(HERE, processor="another"),
        replace(HERE, threads=3),
        OTHER,
    ],
)
def test_what_makes_another_kind_of_machine(other: Environment) -> None:
    assert compare(found(0.62), found(0.63, other), OTHERS).outcome is Outcome.WITHIN


def test_a_divergence_is_compared_too() -> None:
    diverged = replace(result(spec(), "diverged"), environment=OTHER)
    assert compare(found(0.62), diverged, OTHERS).outcome is Outcome.OUTSIDE
    later = replace(diverged, steps=151, environment=HERE)
    assert compare(diverged, later, OTHERS).outcome is Outcome.WITHIN


@pytest.mark.parametrize("accuracy", [0.1, 0.0022])
def test_other_seeds_that_are_all_equal_give_no_verdict(accuracy: float) -> None:
    others = (100 * accuracy,) * 10
    for again in (accuracy, accuracy + 0.0002, 0.9):
        now = found(again, OTHER)
        now = replace(now, steps=now.steps + 1)  # another bit, at the same accuracy
        compared = compare(found(accuracy), now, others)
        assert compared.outcome is Outcome.NONE
        assert "10 other seeds of its cell are equal" in compared.words


def test_one_image_more_is_not_outside() -> None:
    # The interval is [9.85, 10.17] %, and an image of 1,000 is 0.1 %.
    others = (10.0,) * 9 + (10.1,)
    assert compare(found(0.1), found(0.102, OTHER), others).outcome is Outcome.WITHIN
    assert compare(found(0.1), found(0.105, OTHER), others).outcome is Outcome.OUTSIDE


def test_where_some_seeds_diverge_and_others_do_not_a_change_of_that_gives_no_verdict() -> None:
    finished, diverged = found(0.62), replace(result(spec(), "diverged"), environment=HERE)
    elsewhere = replace(diverged, environment=OTHER)
    compared = compare(finished, elsewhere, (*OTHERS, None, None))
    assert compared.outcome is Outcome.NONE
    assert "2 of the 8 seeds of its cell diverged: 62.00 %, now diverged" in compared.words
    assert compare(diverged, found(0.62, OTHER), (*OTHERS, None)).outcome is Outcome.NONE
    assert compare(diverged, found(0.62, OTHER), OTHERS).outcome is Outcome.NONE
    assert compare(finished, found(0.7, OTHER), (*OTHERS, None)).outcome is Outcome.WITHIN
    # Where all do the same, a change is none of the seed's.
    assert compare(finished, elsewhere, OTHERS).outcome is Outcome.OUTSIDE
    assert compare(diverged, found(0.62, OTHER), (None, None)).outcome is Outcome.OUTSIDE


def test_one_other_seed_gives_no_verdict() -> None:
    compared = compare(found(0.62), found(0.3, OTHER), OTHERS[:1])
    assert compared.outcome is Outcome.NONE


def test_on_other_images_the_difference_is_given_without_a_verdict() -> None:
    compared = without_verdict(found(0.62), found(0.605))
    assert compared.outcome is Outcome.NONE
    assert "-1.50 points" in compared.words


def test_an_interval_of_all_accuracies_is_no_verdict_and_none_leaves_0_to_100() -> None:
    compared = compare(found(0.62), found(0.4, OTHER), (60.0, 64.0))
    assert compared.outcome is Outcome.NONE
    assert compared.words.endswith("62.00 %, now 40.00 %")
    high = compare(found(0.62), found(0.7, OTHER), (84.0, 88.0, 90.0, 94.0, 96.0))
    assert high.outcome is Outcome.WITHIN
    assert ", 100.0] %" in high.words
