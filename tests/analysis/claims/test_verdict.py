"""The verdict on a claim, from rows made by hand and from simulated studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.made import Found, made

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.read import read_claim
from normexp.analysis.claims.verdict import Verdict, judge_claim
from normexp.analysis.rows import MeasuredNetwork, Row, Run
from normexp.errors import UserError
from normexp.runs.runtime import Design

JITTER = (0.001, -0.001, 0.002, -0.002, 0.0005, -0.0005, 0.001, -0.001)
"""So that differences have a spread; their mean is 0."""


def claim(margin: float = 0.01, **comparison: object) -> Claim:
    return of_blocks(margin, one=comparison)


def of_blocks(margin: float, **blocks: Mapping[str, object]) -> Claim:
    """A claim of test accuracies, by default that instance norm's are above batch norm's."""
    usual = {"first": {"norm": "instance"}, "second": {"norm": "batch"}, "expect": "more"}
    measure = {"value": "test.accuracy", "margin": margin, "accuracy": True, "unit": "%"}
    return read_claim(
        "c",
        {
            **dict.fromkeys(("claim", "prior", "how", "study", "date"), "c"),
            "exploration_seeds": [1000],
            "confirmation_seeds": [0],
            "measures": {"accuracy": measure},
            "comparisons": {label: {**usual, **block} for label, block in blocks.items()},
        },
    )


def at_train_loss(loss: float) -> Claim:
    """The claim of validation accuracies where the training loss falls to `loss`."""
    of = claim()
    measure = replace(of.measures["accuracy"], value="val_accuracy", at_train_loss=loss)
    return replace(of, measures={"accuracy": measure})


def runs(values: Sequence[float], validation: float | None = None, **settings: Any) -> list[Run]:
    """A run of each seed, with these test accuracies."""
    settings = {"batch_size": 128, **settings}
    return [made(value, validation, seed=i, **settings) for i, value in enumerate(values)]


def around(mean: float, seeds: int = 8) -> list[float]:
    return [mean + jitter for jitter in JITTER[:seeds]]


def verdict(of: Claim, cells: Mapping[tuple[str, int], Sequence[float]]) -> Verdict:
    rows = [row for (norm, b), v in cells.items() for row in runs(v, norm=norm, batch_size=b)]
    return judge_claim(of, rows)


def word(of: Claim, cells: Mapping[tuple[str, int], Sequence[float]]) -> tuple[str, str]:
    found = verdict(of, cells)
    return found.word, found.reason


ACROSS: dict[str, Any] = {"across": {"batch_size": [2, 128]}}


def test_a_claim_that_every_comparison_bears_out_is_supported() -> None:
    cells = {("instance", b): around(0.8) for b in (2, 128)}
    cells |= {("batch", b): [0.7] * 8 for b in (2, 128)}
    assert word(claim(**ACROSS), cells) == ("SUPPORTED", "")


def test_a_claim_is_refuted_by_the_other_way_round() -> None:
    cells = {("instance", 2): around(0.6), ("batch", 2): [0.7] * 8}
    assert word(claim(), cells) == ("REFUTED", "it is less, not more")


def test_a_claim_of_a_difference_is_refuted_by_there_being_none() -> None:
    cells = {("instance", 2): around(0.7), ("batch", 2): [0.7] * 8}
    assert word(claim(), cells) == ("REFUTED", "it is the same, not more")
    assert word(claim(expect="same"), cells) == ("SUPPORTED", "")


def test_a_difference_below_the_margin_is_none_even_if_it_is_certain() -> None:
    cells = {("instance", 2): around(0.705), ("batch", 2): [0.7] * 8}
    assert word(claim(margin=0.01), cells) == ("REFUTED", "it is the same, not more")
    assert word(claim(margin=0.001), cells) == ("SUPPORTED", "")


def test_comparisons_that_disagree_make_it_depend_on_what_tells_them_apart() -> None:
    cells = {("instance", 2): around(0.8), ("instance", 128): around(0.6)}
    cells |= {("batch", b): [0.7] * 8 for b in (2, 128)}
    assert word(claim(**ACROSS), cells) == (
        "DEPENDS",
        "as claimed for batch_size: 2; not as claimed for batch_size: 128",
    )


def test_what_no_single_factor_tells_apart_is_told_in_full() -> None:
    of = claim(first={"norm": ["a", "b"]}, **ACROSS)
    cells = {(n, b): around(0.8 if (n, b) == ("a", 2) else 0.6) for n in "ab" for b in (2, 128)}
    cells |= {("batch", b): [0.7] * 8 for b in (2, 128)}
    assert word(of, cells) == (
        "DEPENDS",
        "1 of 4 comparisons are as claimed; not as claimed: “norm=a batch_size=128”, "
        "“norm=b batch_size=2”, “norm=b batch_size=128”",
    )
    del cells["b", 128]
    found = word(of, cells)[1]
    assert found.endswith("“norm=b batch_size=2”; 1 of 4 without an answer")


def test_a_factor_that_only_one_side_has_tells_nothing_apart() -> None:
    # The second block alone has batch sizes; its one finding agrees, the first block's does not.
    cells = {("instance", 128): around(0.6), ("batch", 128): [0.7] * 8}
    cells |= {("both", b): around(0.8) for b in (2, 128)} | {("batch", 2): [0.7] * 8}
    rows = [row for (n, b), v in cells.items() for row in runs(v, norm=n, batch_size=b)]
    found = judge_claim(
        of_blocks(
            0.01,
            two={"first": {"norm": "both"}, "across": {"batch_size": [2, 128]}},
            one={"across": {"batch_size": 128}},
        ),
        rows,
    )
    assert (found.word, found.reason) == (
        "DEPENDS",
        "as claimed: “two”; not as claimed: “one”",
    )


def test_open_comparisons_leave_it_undecided_and_say_what_it_takes() -> None:
    # Differences of mean 0.01 and deviation 0.0169: an effect of 0.59, of which a paired t test
    # has 80 % power at 5 % from n = 25 on (noncentral t of scipy: 79 % at 24, 81 % at 25).
    noisy = [0.71 + 0.0158 * (-1) ** seed for seed in range(8)]
    found, reason = word(claim(), {("instance", 2): noisy, ("batch", 2): [0.7] * 8})
    assert found == "OPEN"
    assert reason.startswith("about 25 seeds would decide it, 8 are there (")


def test_one_seed_decides_nothing() -> None:
    assert word(claim(), {("instance", 2): [0.9], ("batch", 2): [0.2]}) == (
        "OPEN",
        "about 6 seeds would decide it, 1 is there (“norm=instance against norm=batch”, claimed to "
        "be more: norm=instance is ahead by 70.0 points in 1 of 1 seed)",
    )


def test_no_runs_are_not_run_and_some_are_said() -> None:
    assert word(claim(), {}) == ("NOT RUN", "")
    assert word(claim(), {("instance", 2): [0.9] * 8}) == ("NOT RUN", "")
    cells = {("instance", 2): around(0.8), ("batch", 2): [0.7] * 8}
    assert word(claim(**ACROSS), cells) == (
        "OPEN",
        "as claimed: “batch_size=2”; there are no runs in 1 of 2 comparisons",
    )


def test_runs_without_a_seed_in_common_are_not_told_as_not_run() -> None:
    first = [made(0.8, seed=seed, norm="instance") for seed in (0, 1)]
    second = [made(0.7, seed=seed, norm="batch") for seed in (2, 3)]
    found = judge_claim(claim(), [*first, *second])
    assert found.word == "OPEN"
    assert found.reason.startswith("no seed has both values")


def test_a_diverged_run_never_came_to_a_training_loss() -> None:
    rows = [made(0.8, seed=seed, norm="instance") for seed in range(8)]
    rows += [made("diverged", seed=seed, norm="batch") for seed in range(8)]
    found = judge_claim(at_train_loss(1.5), rows)
    assert found.word == "OPEN"
    assert "8 of 8 never reached that training loss" in found.reason


def test_what_has_no_answer_is_counted_beside_what_it_depends_on() -> None:
    cells = {("instance", 2): around(0.8), ("instance", 128): around(0.6)}
    cells |= {("batch", b): [0.7] * 8 for b in (2, 128)}
    _, reason = word(claim(across={"batch_size": [2, 32, 128]}), cells)
    assert reason.endswith("not as claimed for batch_size: 128; 1 of 3 without an answer")


def test_six_seeds_decide_one_comparison_and_a_family_of_two() -> None:
    # The smallest p of six seeds is 2/64 = 0.031, whatever the size of the family.
    of, cells = claim(margin=0), {("instance", 2): around(0.8, 6), ("batch", 2): [0.7] * 6}
    assert word(of, cells)[0] == "SUPPORTED"
    both = cells | {("instance", 128): around(0.8, 6), ("batch", 128): [0.7] * 6}
    for finding in verdict(claim(margin=0, **ACROSS), both).findings:
        assert finding.comparison.graded is not None
        assert finding.comparison.graded.p == pytest.approx(2 / 64)


def test_a_value_may_be_taken_off() -> None:
    # 0.6 − 0.5 at 2 against 0.9 − 0.7 at 128.
    cells = {("batch", 2): around(0.6), ("batch", 128): [0.9] * 8}
    cells |= {("group", 2): [0.5] * 8, ("group", 128): [0.7] * 8}
    of = claim(
        first={"norm": "batch", "batch_size": 2},
        second={"norm": "batch", "batch_size": 128},
        minus={"norm": "group"},
        expect="less",
    )
    found = verdict(of, cells)
    assert found.word == "SUPPORTED"
    result = found.findings[0].comparison.graded
    assert result is not None
    assert result.mean == pytest.approx(-10)


def test_a_number_may_be_the_other_side() -> None:
    assert word(claim(second=0.5), {("instance", 2): around(0.5)})[0] == "REFUTED"
    assert word(claim(second=0.5, expect="same"), {("instance", 2): around(0.5)})[0] == "SUPPORTED"


def test_a_tuned_setting_is_chosen_by_validation_and_not_by_test() -> None:
    rows = runs(around(0.9), norm="instance", lr=0.1, validation=0.5)
    rows += runs(around(0.6), norm="instance", lr=0.4, validation=0.8)
    rows += runs([0.7] * 8, norm="batch", lr=0.1, validation=0.5)
    found = judge_claim(claim(tuned="optimizer.lr"), rows)
    assert (found.word, found.reason) == ("REFUTED", "it is less, not more")


def test_runs_that_diverged_count() -> None:
    rows = runs([0.7] * 8, norm="instance")
    rows += [made("diverged", norm="batch", seed=seed, batch_size=128) for seed in range(8)]
    found = judge_claim(claim(), rows)
    assert found.findings[0].comparison.pairs.second == pytest.approx((10,) * 8)
    assert (found.word, found.grade) == ("SUPPORTED", "decided")


def test_a_loss_of_accuracy_is_not_drawn_with_runs_that_diverged_or_are_at_chance() -> None:
    rows = runs(around(0.8), norm="batch")
    for lost in ("diverged", 0.1):
        other = runs(around(0.8, 6), norm="instance")
        other += [made(lost, norm="instance", seed=s, batch_size=128) for s in (6, 7)]
        measures = {
            name: {"value": value, "margin": 0.01, "accuracy": True, "unit": "%"}
            for name, value in (("clean", "test.accuracy"), ("severity 5", "test.contrast.5"))
        }
        of = read_claim(
            "c",
            {
                **dict.fromkeys(("claim", "prior", "how", "study", "date"), "c"),
                "confirmation_seeds": [0],
                "measures": measures,
                "comparisons": {
                    "loses less": {
                        "first": {"norm": "instance", "measure": "severity 5"},
                        "second": {"norm": "batch", "measure": "severity 5"},
                        "minus": {"measure": "clean"},
                        "expect": "more",
                    },
                    "loses nothing": {
                        "first": {"norm": "instance", "measure": "severity 5"},
                        "second": {"norm": "instance", "measure": "clean"},
                        "expect": "same",
                    },
                },
            },
        )
        found = judge_claim(of, rows + other)
        assert {each.comparison.outcome for each in found.findings} == {"not drawn"}
        assert found.word == "OPEN"
        assert "2 of 8 " in found.reason or "4 of 16 " in found.reason


def test_what_tells_some_comparisons_apart_is_no_reason_where_others_do_not_have_it() -> None:
    of = of_blocks(
        0.01,
        without={
            "first": {"norm": "none", "batch_size": [8, 128]},
            "second": {"norm": "none", "batch_size": 2},
            "expect": "less",
        },
        others={
            "first": {"batch_size": 128},
            "second": {"batch_size": 2},
            "across": {"norm": ["batch", "instance"]},
            "expect": "same",
        },
    )
    cells = {(norm, 2): [0.7] * 8 for norm in ("none", "batch", "instance")}
    cells |= {(norm, 128): around(0.6) for norm in ("none", "batch", "instance")}
    assert word(of, {**cells, ("none", 8): around(0.7)}) == (
        "DEPENDS",
        "1 of 4 comparisons are as claimed; not as claimed: “without batch_size=8”, "
        "“others norm=batch”, “others norm=instance”",
    )


def test_runs_are_compared_at_a_training_loss_to_which_all_of_them_came() -> None:
    """Training losses are 2, 1 and 2/3 here; validation rises from a third of the accuracy."""
    cells = {("instance", 128): around(0.8), ("batch", 128): around(0.6)}
    found = verdict(at_train_loss(1.5), cells)
    assert found.word == "SUPPORTED"
    (finding,) = found.findings
    differences = finding.comparison.pairs.differences.values()
    assert [*differences] == pytest.approx([100 * (0.4 - 0.3)] * 8, abs=0.2)
    found = verdict(at_train_loss(0.5), cells)
    assert found.word == "OPEN"
    assert "8 of 8 never reached that training loss" in found.reason


def test_what_is_measured_at_the_start_is_not_mixed_up_with_trained_runs() -> None:
    of = read_claim(
        "c",
        {
            **dict.fromkeys(("claim", "prior", "how", "study", "date"), "c"),
            "confirmation_seeds": [0],
            "measures": {"spread": {"value": "spread", "margin": 0.001}},
            "comparisons": {
                "one": {"first": {"norm": "instance"}, "second": 0, "expect": "same"},
            },
        },
    )
    settings = {"norm": "instance"}
    rows: list[Row] = [
        MeasuredNetwork("measured", Path("c.json"), seed, settings, {"spread": 0.0})
        for seed in range(8)
    ]
    rows += runs([0.1] * 8, norm="instance")  # at chance, which says nothing of the measurement
    found = judge_claim(of, rows)
    assert (found.word, found.grade, found.seeds) == ("SUPPORTED", "measured", ())


def test_runs_that_are_not_compared_do_not_say_how_the_others_are_judged() -> None:
    rows = runs(around(0.8), norm="instance") + runs(around(0.7), norm="batch")
    (added,) = runs([0.5], norm="group")
    for of, design in ((added, Design.PLANNED), (rows[0], Design.SEQUENTIAL)):
        others = [row for row in (*rows, added) if row is not of]
        found = judge_claim(claim(), [*others, replace(of, design=Design.SEQUENTIAL)])
        assert {each.comparison.family.design for each in found.findings} == {design}


def test_exploration_seeds_are_not_judged() -> None:
    rows = runs(around(0.8), norm="instance") + runs([0.7] * 8, norm="batch")
    rows += [made(0.1, norm="instance", seed=1000, batch_size=128)]
    rows += [made(0.9, norm="batch", seed=1000, batch_size=128)]
    found = judge_claim(claim(), rows)
    assert found.seeds == tuple(range(8))
    assert found.word == "SUPPORTED"


def test_three_seeds_are_likely_and_the_weakest_grade_is_the_claim_s() -> None:
    cells = {("instance", 2): around(0.8, 3), ("batch", 2): [0.7] * 3}
    found = verdict(claim(), cells)
    assert (found.word, found.grade) == ("SUPPORTED", "likely")
    assert len(found.short) == 1
    cells |= {("instance", 128): around(0.8), ("batch", 128): [0.7] * 8}
    assert verdict(claim(**ACROSS), cells).grade == "likely"


RATES = (0.1, 0.2, 0.4, 0.8)


def at_rates(norm: str, values: Sequence[Found], seeds: Sequence[int] = range(6)) -> list[Run]:
    return [
        made(found, norm=norm, lr=rate, seed=seed, batch_size=128)
        for rate, found in zip(RATES, values, strict=True)
        for seed in seeds
    ]


def rates_claim() -> Claim:
    measures = {
        among: {"value": "optimizer.lr", "among": among, "margin": 1}
        for among in ("learned", "best")
    }
    return read_claim(
        "c",
        {
            **dict.fromkeys(("claim", "prior", "how", "study", "date"), "c"),
            "confirmation_seeds": [0],
            "measures": measures,
            "comparisons": {
                "larger": {
                    "first": {"norm": "batch"},
                    "second": {"norm": "none"},
                    "across": {"measure": ["learned", "best"]},
                    "tuned": "optimizer.lr",
                    "expect": "more",
                }
            },
        },
    )


def test_a_seed_without_all_rates_has_no_largest_and_no_best_one() -> None:
    rows = at_rates("batch", (0.5, 0.6, 0.55, "diverged"))
    rows += at_rates("none", (0.5, 0.6, 0.55, "diverged"), range(4))
    rows += at_rates("none", (0.5, 0.6, "unfinished", "unfinished"), (4, 5))
    learned, best = (each.comparison for each in judge_claim(rates_claim(), rows).findings)
    assert learned.pairs.seeds == best.pairs.seeds == (0, 1, 2, 3)
    assert set(learned.pairs.differences.values()) == {0.0}


def test_a_seed_that_learned_at_no_rate_is_not_left_out() -> None:
    rows = at_rates("batch", (0.5, 0.6, 0.55, "diverged"))
    rows += at_rates("none", (0.5, 0.6, 0.1, 0.1), range(3)) + at_rates("none", (0.1,) * 4, (3, 4))
    rows += at_rates("none", ("diverged",) * 4, (5,))
    learned, best = (each.comparison for each in judge_claim(rates_claim(), rows).findings)
    assert learned.outcome == best.outcome == "not drawn"
    assert "3 of 6 seeds learned at no optimizer.lr" in learned.pairs.notes[1]


def test_nothing_follows_where_both_are_at_an_end_of_what_was_tried() -> None:
    rows = at_rates("batch", (0.3, 0.4, 0.5, 0.6)) + at_rates("none", (0.3, 0.4, 0.5, 0.6))
    found = judge_claim(rates_claim(), rows)
    assert found.word == "OPEN"
    assert "in 6 of 6 seeds both are at the same end of what was tried" in found.reason
    # The largest rate of the one lies within, so that the difference is at least what it is.
    rows = at_rates("batch", (0.3, 0.4, 0.5, 0.6)) + at_rates("none", (0.3, 0.4, 0.1, 0.1))
    assert judge_claim(rates_claim(), rows).findings[0].comparison.outcome == "more"


def test_the_largest_rate_that_learned_and_the_best_one_are_logarithms() -> None:
    rates = (0.1, 0.2, 0.4, 0.8)
    accuracies: dict[str, tuple[Found, ...]] = {
        "batch": (0.5, 0.6, 0.5, 0.4),
        "none": (0.6, 0.5, "diverged", 0.1),
    }
    rows = [
        made(found, norm=norm, lr=rate, seed=seed, batch_size=128)
        for norm, values in accuracies.items()
        for rate, found in zip(rates, values, strict=True)
        for seed in range(6)
    ]
    learned, best = (each.comparison.graded for each in judge_claim(rates_claim(), rows).findings)
    assert learned is not None
    assert best is not None
    assert (learned.mean, best.mean) == pytest.approx((2, 1))


def test_a_difference_that_is_decided_below_the_margin_is_no_answer() -> None:
    cells = {("instance", 128): around(0.707), ("batch", 128): [0.7] * 8}
    found = verdict(claim(margin=0.0074), cells)
    assert found.findings[0].comparison.graded is not None
    assert found.findings[0].comparison.graded.text() == "decided, but below the margin"
    assert found.word == "OPEN"
    assert found.reason == "a difference is decided, but below the margin in 1 of 1 comparison"
    assert verdict(claim(margin=0.004), cells).word == "SUPPORTED"
    assert verdict(claim(margin=0.0074, expect="less"), cells).word == "REFUTED"


def test_seeds_are_paired_and_those_of_one_side_only_are_left_out() -> None:
    rows = runs(around(0.8), norm="instance")[2:] + runs([0.7] * 8, norm="batch")[:7]
    (finding,) = judge_claim(claim(), rows).findings
    pairs = finding.comparison.pairs
    assert pairs.seeds == (2, 3, 4, 5, 6)
    assert pairs.first == pytest.approx([80 + 100 * jitter for jitter in JITTER[2:7]])


def test_two_runs_of_one_seed_are_not_mixed_up() -> None:
    rows = runs([0.8] * 8, norm="instance", epochs=5) + runs([0.7] * 8, norm="instance", epochs=10)
    with pytest.raises(UserError, match="differ in epochs"):
        judge_claim(claim(), rows)


# Simulated studies: accuracies of standard deviation 0.01 over seeds.


def simulated(
    of: Claim, studies: int, shift: float, sizes: Sequence[int], seeds: int
) -> Counter[tuple[str, str]]:
    random = np.random.default_rng(0)
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(studies):
        cells = {
            (norm, b): list(
                0.7 + shift * (norm == "instance") + 0.01 * random.standard_normal(seeds)
            )
            for norm in ("instance", "batch")
            for b in sizes
        }
        result = verdict(of, cells)
        is_decided = result.grade in ("decided", "the same")
        found[result.word if is_decided else "OPEN", result.reason] += 1
    return found


def decided(found: Counter[tuple[str, str]], *outcomes: str) -> int:
    return sum(
        n
        for (w, why), n in found.items()
        if w in ("SUPPORTED", "REFUTED") and (not outcomes or why in outcomes)
    )


@pytest.mark.slow
def test_of_1000_studies_without_a_difference_50_at_most_decide_a_claim() -> None:
    assert decided(simulated(claim(margin=0), 1000, 0.0, (128,), 6)) <= 50


@pytest.mark.slow
def test_of_a_family_fewer_still_are_decided_by_chance() -> None:
    found = simulated(claim(margin=0, **ACROSS), 200, 0.0, (2, 128), 8)
    assert decided(found) + sum(n for (w, _), n in found.items() if w == "DEPENDS") <= 10


@pytest.mark.slow
def test_a_difference_of_the_margin_is_told_as_none_in_1_of_20_at_most() -> None:
    found = simulated(claim(margin=0.01), 400, 0.01, (128,), 8)
    # 20 expected at most; 4 standard deviations of a binomial count are 17.
    assert decided(found, "it is the same, not more") <= 37


@pytest.mark.slow
def test_an_effect_is_found_as_often_as_its_power_says() -> None:
    # Differences have the deviation 0.01·√2. For 8 pairs a t test's power at an effect of 1.16 is
    # 80 % (noncentral t of scipy); the sign-flip test's is a little below.
    found = simulated(claim(margin=0), 200, 1.16 * 0.01 * 2**0.5, (128,), 8)
    assert 140 <= found["SUPPORTED", ""] <= 180
