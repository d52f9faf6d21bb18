"""What the runs advise, from rows made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.made import made
from helpers.typed import normexp

from normexp.analysis.advice import advice
from normexp.analysis.comparable import at_best_rates
from normexp.analysis.rows import Run
from normexp.tuned import Tuned, key_of

SET_UP = "What was trained:"
JITTER = (0.001, -0.001, 0.002, -0.002, 0.0005, -0.0005, 0.001, -0.001)


def runs(norm: str, accuracy: float, seeds: int = 8, **settings: Any) -> list[Run]:
    """Runs of a batch size of 4 whose accuracy falls by a tenth with each contrast severity."""
    settings = {"batch_size": 4, "data__name": "cifar10", "norm": norm, **settings}
    return [made(accuracy + jitter, seed=i, **settings) for i, jitter in enumerate(JITTER[:seeds])]


def told(rows: Sequence[Run], batch_size: int = 4, contrast: str = "steady") -> list[str]:
    """The advice up to what was trained."""
    found = list(advice(rows, batch_size, contrast, margin=0.5))
    return found[: found.index(SET_UP)] if SET_UP in found else found


def test_the_set_up_comes_last() -> None:
    found = list(advice(runs("instance", 0.8) + runs("batch", 0.7), 4, "steady", margin=0.5))
    set_up = found[found.index(SET_UP) :]
    assert any("one learning rate for all norms" in line for line in set_up)
    assert "  seeds: 0 to 7, planned" in set_up


def test_the_better_norm_is_advised_with_its_interval_its_lead_and_its_cost() -> None:
    found = told(runs("instance", 0.8) + runs("batch", 0.7))
    assert found == [
        "Use instance: test accuracy 80.0 [79.9, 80.1] %.",
        "  10.0 points [10.0, 10.0] above batch, 8 seeds: decided",
        "Cost, in images a second of training (the fastest run): instance 200, batch 200.",
        "Missing at batch size 4: runs of norm=both,group.",
    ]


def test_speeds_are_those_of_one_kind_of_machine() -> None:
    """A norm that was trained on a faster machine is no cheaper for that."""
    instance, group = runs("instance", 0.8), runs("group", 0.6)
    first, *others = runs("batch", 0.7)
    there = [on_another_machine(run) for run in (first, *group)]
    found = told([*instance, *others, *there])
    speeds = "instance 200, batch 200"
    assert f"Cost, in images a second of training (the fastest run): {speeds}." in found
    assert "Trained on other machines, so that speeds do not compare: group." in found


def on_another_machine(run: Run) -> Run:
    assert run.result
    environment = replace(run.result.environment, instructions="AVX512")
    timing = replace(run.result.timing, images_per_second=900.0)
    return replace(run, result=replace(run.result, environment=environment, timing=timing))


def test_where_contrast_varies_the_severities_count() -> None:
    rows = runs("instance", 0.8) + runs("batch", 0.7)
    # 80 · (1 + 0.9 + 0.8 + 0.7 + 0.6 + 0.5) / 6
    expected = "Use instance: accuracy over contrast severities 0 to 5 60.0 [59.9, 60.1] %."
    assert told(rows, contrast="varies")[0] == expected


def test_norms_are_compared_at_the_rate_that_was_chosen_for_each() -> None:
    """At one rate for all, of which there are more runs, instance norm would be far behind."""
    own = runs("batch", 0.7, optimizer__lr=0.1) + runs("instance", 0.75, optimizer__lr=1.6)
    others = ("batch", 0.69), ("instance", 0.4), ("group", 0.6), ("both", 0.7)
    at_one = [run for norm, value in others for run in runs(norm, value, optimizer__lr=0.2)]
    tuned = [Tuned("", key_of(run.spec), run.spec.optimizer.lr, False, ()) for run in own[::8]]
    found = list(advice(own + at_one, 4, "steady", margin=0.5, tuned=tuned))
    assert "Use instance: test accuracy 75.0 [74.9, 75.1] %." in found
    assert "  5.0 points [5.0, 5.0] above batch, 8 seeds: decided" in found
    assert any("tuned for each norm" in line for line in found)


def test_a_chosen_rate_without_runs_leaves_the_others_in() -> None:
    rows = runs("batch", 0.7) + runs("instance", 0.75)
    tuned = [Tuned("", key_of(rows[0].spec), 9.0, False, ())]
    found = list(advice(rows, 4, "steady", margin=0.5, tuned=tuned))
    assert "Use instance: test accuracy 75.0 [74.9, 75.1] %." in found


def test_norms_that_are_the_same_are_said_to_be_and_their_cost_tells() -> None:
    found = told(runs("both", 0.801) + runs("batch", 0.8))
    assert found[0].startswith("Use both: ")
    assert found[1].endswith("above batch, 8 seeds: the same")
    assert "both 200, batch 200" in found[2]


def test_norms_with_the_same_mean_have_no_best() -> None:
    found = told(runs("both", 0.8) + runs("batch", 0.8))
    assert found[0].startswith("No norm is ahead: both and batch have the same mean")


def test_a_lead_of_three_seeds_is_likely_and_goes_on_with_a_command() -> None:
    found = told(runs("instance", 0.98, 3) + runs("batch", 0.7, 3))
    assert found[0].startswith("instance is likely the best: ")
    assert "likely: ahead by 28.0 points in 3 of 3 seeds" in found[1]
    command = found[found.index(next(line for line in found if line.startswith("Go on"))) + 1]
    assert command.startswith("normexp train -m norm=instance,batch batch_size=4")
    assert command.endswith("until=decided")


def test_of_two_seeds_nothing_follows_but_the_lead() -> None:
    found = told(runs("instance", 0.98, 2) + runs("batch", 0.7, 2))
    assert found[0].startswith("Cannot tell whether instance is better than batch. It is ahead: ")
    assert "98.1 and 97.9 (2 seeds)" in found[0]
    assert found[1].endswith("open: ahead by 28.0 points in 2 of 2 seeds")
    assert found[3].startswith("normexp train -m norm=instance,batch batch_size=4")
    assert found[3].endswith("until=decided")


def test_six_seeds_decide_the_best_against_two_others() -> None:
    two = runs("instance", 0.8, 6) + runs("batch", 0.7, 6)
    assert told(two + runs("both", 0.75, 6))[0].startswith("Use instance: ")


def test_norms_at_chance_are_no_advice() -> None:
    found = told(runs("instance", 0.105) + runs("batch", 0.1))
    assert found[0].startswith("Cannot tell: none of the norms with runs is above chance")


def test_survivors_are_not_advised() -> None:
    """Alone, six survivors would be ahead in every pair, and decided: p = 2/64."""
    place: dict[str, Any] = {"batch_size": 4, "data__name": "cifar10"}
    rows = [made(0.7 + JITTER[s % 8], norm="batch", seed=s, **place) for s in range(12)]
    rows += [made(0.74 if s < 6 else "diverged", norm="none", seed=s, **place) for s in range(12)]
    found = list(advice(rows, 4, "steady", margin=0.5))
    assert "none: 6 of 12 diverged." in found
    assert any(line.startswith("Use batch: ") for line in found)
    assert any("none: 6 of 12 diverged" in line for line in told(rows)[1:])


def test_a_norm_that_diverges_and_is_ahead_is_advised_with_the_count() -> None:
    rows = [*runs("batch", 0.3), *runs("none", 0.99, 7)]
    rows.append(made("diverged", norm="none", batch_size=4, data__name="cifar10", seed=7))
    (headline, *_) = told(rows)
    assert "none" in headline
    assert headline.endswith("1 of 8 diverged.")


def test_without_runs_near_it_says_so_and_what_to_run() -> None:
    found = told(runs("instance", 0.8, batch_size=128), batch_size=4)
    assert found[0] == "Cannot tell: no run is near batch_size=4; there are runs at 128."
    assert found[1].startswith("normexp train -m norm=")
    assert told([], batch_size=4)[0].endswith("no run has ended.")


def test_a_batch_size_within_a_factor_of_two_is_near_and_told() -> None:
    rows = runs("instance", 0.8, batch_size=8) + runs("batch", 0.7, batch_size=8)
    first = told(rows, batch_size=4)[0]
    assert first.startswith("Use instance, of the norms with runs at batch size 8 (no run has 4): ")
    assert told(rows, batch_size=3)[0].startswith("Cannot tell: no run is near")


def test_a_norm_that_has_runs_at_another_batch_size_only_is_not_left_out() -> None:
    rows = runs("instance", 0.8) + runs("batch", 0.7)
    rows += runs("instance", 0.75, batch_size=16) + runs("stem_instance", 0.85, batch_size=16)
    rows += runs("instance", 0.7, batch_size=64) + runs("stem_instance", 0.6, batch_size=64)
    rows += runs("split", 0.99, batch_size=16, epochs=20)  # of another budget
    found = told(rows)
    place = found.index("At batch size 16, where other norms have runs too, against instance:")
    assert found[place - 1].endswith("above batch, 8 seeds: decided")
    assert found[place + 1] == "  stem_instance: ahead by 10.0 points in 8 of 8 seeds (decided)"
    assert not any("split" in line or "size 64" in line for line in found)
    assert found[0] == (
        "instance is the best: test accuracy 80.0 [79.9, 80.1] %, but at batch size 16 "
        "stem_instance is ahead of it."
    )


def test_runs_of_earlier_numerics_are_left_out() -> None:
    older = runs("instance", 0.9) + runs("batch", 0.6)
    older = [replace(run, spec=replace(run.spec, numerics=1)) for run in older]
    first, second, *_ = told(older + runs("instance", 0.6, 6) + runs("batch", 0.7, 6))
    assert first == "16 runs of earlier numerics left out."
    assert second.startswith("Use batch: ")


def test_another_batch_size_that_is_as_near_is_told() -> None:
    rows = runs("instance", 0.8, batch_size=8) + runs("batch", 0.7, batch_size=8)
    rows += runs("batch", 0.9, batch_size=2) + runs("batch", 0.6, batch_size=1)
    found = told(rows)
    assert "At batch size 2, which is as near to 4: batch 90.0 %; no run of instance." in found
    assert not any("batch size 1," in line for line in found)


def test_the_cost_is_that_of_the_run_that_other_work_slowed_least() -> None:
    rows = runs("instance", 0.8) + runs("batch", 0.7)
    assert rows[0].result
    timing = replace(rows[0].result.timing, images_per_second=900.0)
    rows[0] = replace(rows[0], result=replace(rows[0].result, timing=timing))
    assert any(line.endswith("(the fastest run): instance 900, batch 200.") for line in told(rows))


def test_at_another_batch_size_a_norm_counts_at_its_best_learning_rate() -> None:
    rows = runs("instance", 0.8) + runs("batch", 0.7) + runs("instance", 0.75, batch_size=16)
    for lr, accuracy in ((0.1, 0.6), (0.4, 0.85)):
        rows += runs("none", accuracy, batch_size=16, lr=lr)
    found = told(rows)
    assert "  none: ahead by 10.0 points in 8 of 8 seeds (decided)" in found


def test_a_norm_ahead_in_its_mean_that_loses_seed_by_seed_is_not_advised() -> None:
    lucky = runs("instance", 0.95)[4:]  # seeds that batch norm does not have
    found = told(runs("instance", 0.5, 4) + lucky + runs("batch", 0.55, 4))
    assert found[0].startswith("Cannot tell whether instance is better than batch. ")
    assert found[1].startswith("  −5.0 points [")


def test_drawn_images_prove_nothing() -> None:
    rows = [
        run for norm in ("instance", "batch") for run in runs(norm, 0.8, data__name="generated")
    ]
    found = list(advice(rows, 4, "steady", margin=0.5))
    assert any("drawn images: they prove nothing about photographs" in line for line in found)


def test_only_runs_that_differ_in_nothing_else_are_compared() -> None:
    rows = runs("instance", 0.8, epochs=20) + runs("instance", 0.6) + runs("batch", 0.7)
    assert told(rows)[0].startswith("Use batch: ")


def test_one_norm_alone_is_no_advice() -> None:
    expected = "Cannot tell: of norms with a result there is only batch."
    assert told(runs("batch", 0.7))[0] == expected


def test_norms_that_were_run_in_several_ways_are_told_apart() -> None:
    rows = runs("ghost", 0.8, norm__layer={"ghost_size": 2})
    rows += runs("ghost", 0.7, norm__layer={"ghost_size": 16})
    assert told(rows)[0].startswith("Use ghost norm.layer.ghost_size=2: ")
    rows = runs("group", 0.8, norm__layer={"num_groups": 2})
    rows += runs("group", 0.7, norm__layer={"num_groups": 4})
    assert told(rows)[-1] == "Missing at batch size 4: runs of norm=batch,instance,both."


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["batchsize=4"], "there is no setting 'batchsize'; did you mean batch_size?"),
        (["batch_size=none"], "batch_size=none: a whole number of 1 or more is needed"),
        (["contrast=jitter"], "contrast=jitter: one of steady, varies is needed"),
        (["margin=-1"], "margin=-1: a number of 0 or more is needed"),
        (["4"], "'4' is not of the form key=value, such as batch_size=4"),
    ],
)
def test_a_mistake_is_told_in_a_line(typed: list[str], line: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "advise", *typed)
    assert (answer.code, answer.out, answer.err) == (1, "", f"normexp: {line}\n")


def test_the_help_shows_the_settings(tmp_path: Path) -> None:
    assert "batch_size=128" in normexp(tmp_path, "advise", "--help").out


def test_of_several_rates_of_a_cell_that_with_the_best_validation_accuracy_stays() -> None:
    rows = [
        made(accuracy, validation, norm=norm, lr=lr, seed=seed)
        for norm, lr, accuracy, validation in (
            ("batch", 0.1, 0.9, 0.5),
            ("batch", 0.4, 0.3, 0.6),
            ("none", 0.1, 0.4, 0.4),
            ("none", 0.4, "diverged", None),
        )
        for seed in range(2)
    ]
    kept = [(run.spec.norm.name, run.spec.optimizer.lr) for run in at_best_rates(rows)]
    assert kept == [("batch", 0.4)] * 2 + [("none", 0.1)] * 2


def test_runs_at_one_rate_for_all_give_way_to_tuned_ones_of_half_and_twice_the_batch() -> None:
    rows = runs("batch", 0.8) + runs("instance", 0.5)
    near = runs("batch", 0.6, batch_size=8) + runs("instance", 0.7, batch_size=8)
    far = runs("batch", 0.6, batch_size=16) + runs("instance", 0.7, batch_size=16)
    tuned = [
        Tuned("", key_of(r.spec), r.spec.optimizer.lr, False, ()) for r in near[::8] + far[::8]
    ]
    words = (
        "Use instance, of the norms with runs at batch size 8 (no learning rate is tuned at 4): "
    )
    assert next(advice(rows + near, 4, "steady", 0.5, tuned)).startswith(words)
    assert next(advice(rows + far, 4, "steady", 0.5, tuned)).startswith("Use batch: ")
