"""The comparison of cells: pairs by seed, families, grades, and what may not be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers.made import Found, made

from normexp.analysis.compare import Family, Pairs, compare, ranked, tied
from normexp.analysis.grades import Grade
from normexp.analysis.measures import accuracy, at_contrast
from normexp.analysis.rows import Run
from normexp.analysis.scores import Chance, Scores, accuracies, by_seed, chance_of, others
from normexp.errors import UserError
from normexp.runs.runtime import Design

MARGIN = 0.5
FAMILY = Family("all")


def pairs(*differences: float) -> Pairs:
    """Pairs of these differences, seed by seed."""
    zeros = dict.fromkeys(range(len(differences)), 0.0)
    return Pairs.of(Scores(dict(enumerate(differences))), Scores(zeros), MARGIN)


def cell(norm: str, found: Mapping[int, Found]) -> list[Run]:
    return [made(f, norm=norm, seed=s) for s, f in found.items()]


def scores(runs: Sequence[Run]) -> Scores:
    return accuracies(runs, accuracy, chance_of(runs), 100)


def severity_5_less_clean(run: Run) -> float | None:
    clean, changed = accuracy(run), at_contrast("5")(run)
    return None if clean is None or changed is None else changed - clean


def test_pairs_share_their_seed_and_a_run_that_diverged_counts_as_chance() -> None:
    first = scores(cell("batch", {3: 0.3, 1: 0.1, 2: "diverged", 0: 0.6}))
    second = scores(cell("instance", {1: 0.2, 2: 0.4, 3: 0.5}))
    found = Pairs.of(first, second, MARGIN)
    assert found.seeds == (1, 2, 3)
    assert found.first == pytest.approx((10, 10, 30))  # ten equal classes
    assert found.second == pytest.approx((20, 40, 50))
    assert found.notes == ("1 of 4 diverged, 1 of 4 at chance", "")


def test_where_a_difference_is_measured_nothing_stands_in_for_a_run_without_an_answer() -> None:
    learned = cell("batch", dict.fromkeys(range(8), 0.6))
    for lost in ("diverged", 0.1):
        other = cell("instance", {**dict.fromkeys(range(7), 0.6), 7: lost})
        first, second = (others(side, severity_5_less_clean) for side in (other, learned))
        (found,) = compare(FAMILY, [Pairs.of(first, second, MARGIN)])
        assert (found.outcome, found.graded, found.text) == ("not drawn", None, "not drawn")
        assert found.pairs.notes[0].startswith("1 of 8 ")


def test_two_cells_at_chance_are_not_compared_however_they_differ() -> None:
    low, high = (dict.fromkeys(range(8), 0.1 + shift) for shift in (0.0, 0.005))
    first, second = (scores(cell("batch", each)) for each in (low, high))
    found, learned = compare(FAMILY, [Pairs.of(first, second, 0.1), pairs(*range(1, 9))])
    assert found.outcome == "chance"
    assert found.graded is not None
    assert (found.graded.grade, found.graded.interval) == (Grade.NOT_ABOVE_CHANCE, None)
    assert learned.graded is not None
    assert learned.graded.p == pytest.approx(2 / 2**8)  # not one of a family of two


def test_chance_is_the_share_of_the_largest_class() -> None:
    # 1,000 images, 700 of one class: an error of √(0.7·0.3/1000) = 1.45 points.
    chance = Chance(0.7, (0.7 * 0.3 / 1000) ** 0.5)
    runs = cell("batch", dict.fromkeys(range(3), 0.72))
    assert accuracies(runs, accuracy, chance, 100).is_at_chance
    assert not scores(runs).is_at_chance  # with ten equal classes
    lost = accuracies(cell("batch", {0: "diverged"}), accuracy, chance, 100)
    assert lost.values == {0: pytest.approx(70)}


def test_cells_at_the_share_of_the_largest_class_are_not_compared() -> None:
    """900 of 1,000 test images are of one class, so 91 % is within two errors of chance."""

    def unequal(norm: str, accuracy: float) -> list[Run]:
        found = []
        for run in cell(norm, dict.fromkeys(range(8), accuracy)):
            assert run.result is not None
            assert run.result.test is not None
            wrong = 1000 - round(1000 * accuracy)
            test = replace(run.result.test, confusion=((900, 0), (wrong, 100 - wrong)))
            kept = replace(run.result, classes=("a", "b"), test=test)
            found.append(replace(run, result=kept))
        return found

    first, second = (scores(unequal(*each)) for each in (("batch", 0.9), ("instance", 0.91)))
    (found,) = compare(FAMILY, [Pairs.of(first, second, MARGIN)])
    assert found.text == "not above chance"
    third = scores(unequal("both", 0.95))
    (found,) = compare(FAMILY, [Pairs.of(third, first, MARGIN)])
    assert (found.outcome, found.text) == ("more", "decided")


def test_two_runs_of_one_seed_in_a_cell_are_told_apart() -> None:
    with pytest.raises(UserError, match=r"have one seed and differ in optimizer\.lr"):
        by_seed([made(0.5, lr=0.1), made(0.6, lr=0.2)], accuracy)


def test_comparisons_without_a_pair_are_missing_and_no_part_of_the_family() -> None:
    # The smallest p of six seeds is 2/64, however many comparisons share them.
    surely = pairs(10, 11, 12, 9, 8, 10.5)
    found, again, *absent = compare(FAMILY, [surely, surely, pairs(), pairs()])
    assert [each.outcome for each in (found, again, *absent)] == ["more"] * 2 + ["missing"] * 2
    assert found.graded is not None
    assert found.graded.p == pytest.approx(2 / 64)


def test_each_comparison_is_held_to_its_own_margin() -> None:
    differences = (0.2, 0.21, 0.19, 0.22, 0.18, 0.2)
    zeros = Scores(dict.fromkeys(range(6), 0.0))
    own = Scores(dict(enumerate(differences)))
    wide, narrow = compare(FAMILY, [Pairs.of(own, zeros, margin) for margin in (0.5, 0.0)])
    assert (wide.outcome, narrow.outcome) == ("same", "more")
    for each in (wide, narrow):
        assert each.graded is not None
        assert each.graded.interval is not None
        assert each.graded.interval.low <= 0.2 <= each.graded.interval.high


def test_28_points_are_open_at_two_seeds_and_likely_at_three_with_the_lead() -> None:
    two, three = (compare(FAMILY, [pairs(*d)])[0] for d in ((27, 29), (27, 29, 28)))
    assert two.text == "open: ahead by 28.0 points in 2 of 2 seeds"
    assert three.text == "likely: ahead by 28.0 points in 3 of 3 seeds"
    assert two.graded is not None
    assert two.graded.interval is None
    assert two.is_undecided
    assert three.is_undecided
    assert three.outcome == "more"


@pytest.mark.parametrize("design", list(Design))
def test_the_grade_agrees_with_the_interval_that_is_shown(design: Design) -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        n = int(random.integers(3, 10))
        shifts = random.choice([0.0, 0.3, 2.0], size=4)
        differences = shifts + random.choice([0.1, 1.0]) * random.standard_normal((n, 4))
        found = compare(Family("all", design), [pairs(*column) for column in differences.T])
        for graded in (each.graded for each in found):
            assert graded is not None
            interval = graded.interval
            if graded.grade is Grade.SAME:
                assert interval is not None
                assert interval.within(MARGIN)
            elif graded.grade in (Grade.DECIDED, Grade.LIKELY):
                assert interval is not None
                assert interval.excludes_zero()
            else:
                assert interval is None or not interval.excludes_zero()


@pytest.mark.parametrize("design", list(Design))
def test_values_that_agree_to_the_bit_are_the_same_with_a_margin_of_0(design: Design) -> None:
    ten = Scores(dict.fromkeys(range(10), 0.25))
    (found,) = compare(Family("all", design), [Pairs.of(ten, ten, margin=0.0)])
    assert found.outcome == "same"


@pytest.mark.parametrize(
    "differences",
    [(5.0, 5.1, 4.9, 5.05, -10, -12, -9, -11), (0.1, 0.11, 0.09, 0.1, 0.12, 0.1, 5.0, 6.0, 4.0)],
)
def test_what_later_seeds_contradict_is_open_again(differences: Sequence[float]) -> None:
    family = Family("all", Design.SEQUENTIAL)
    (first,) = compare(family, [pairs(*differences[: 4 if differences[0] > 1 else 6])])
    (later,) = compare(family, [pairs(*differences)])
    assert first.outcome in ("more", "same")
    assert later.outcome == "open"
    assert later.graded is not None
    assert later.graded.interval is None


def test_cells_are_ranked_by_their_means_and_those_without_a_result_have_no_rank() -> None:
    found = {"a": [1.0, 3.0], "b": [5.0], "c": [], "d": [2.5]}
    by_key = {key: Scores(dict(enumerate(values))) for key, values in found.items()}
    assert ranked(by_key) == ["b", "d", "a"]
    assert tied(by_key, "b") == ["b"]
    assert tied({**by_key, "e": Scores({0: 4.0, 1: 6.0})}, "b") == ["b", "e"]
