"""The comparison of cells: pairs by seed, families, judgements."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from helpers.made import Found, made

from normexp.analysis.compare import Family, Pairs, by_seed, compare, judge, ranked
from normexp.analysis.measures import accuracy
from normexp.analysis.statistics import paired
from normexp.errors import UserError

MARGIN = 0.5


def pairs(*differences: float) -> Pairs:
    """Pairs of these differences, seed by seed."""
    return Pairs.of(dict(enumerate(differences)), dict.fromkeys(range(99), 0.0), MARGIN)


def test_pairs_share_their_seed_and_a_run_without_a_value_has_no_pair() -> None:
    def cell(norm: str, found: Mapping[int, Found]) -> dict[int, float]:
        return by_seed([made(f, norm=norm, seed=s) for s, f in found.items()], accuracy)

    first = cell("batch", {3: 0.3, 1: 0.1, 2: "diverged", 0: 0.6})
    second = cell("instance", {1: 0.2, 2: 0.4, 3: 0.5})
    found = Pairs.of(first, second, MARGIN)
    assert found.seeds == (1, 3)
    assert found.first == pytest.approx((10, 30))
    assert found.second == pytest.approx((20, 50))


def test_two_runs_of_one_seed_in_a_cell_are_told_apart() -> None:
    with pytest.raises(UserError, match=r"have one seed and differ in optimizer\.lr"):
        by_seed([made(0.5, lr=0.1), made(0.6, lr=0.2)], accuracy)


def test_each_comparison_of_a_family_counts_also_where_it_has_no_runs() -> None:
    # The smallest p of six seeds is 2/64.
    surely = pairs(10, 11, 12, 9, 8, 10.5)
    for size in (1, 2, 3):
        found, *others = compare(Family("all", size), [surely, *[pairs()] * (size - 1)])
        assert found.p == pytest.approx(size * 2 / 64)
        assert [other.outcome for other in others] == ["missing"] * (size - 1)
    (alone,) = compare(Family("all", 3), [surely])
    assert alone.p == pytest.approx(3 * 2 / 64)
    assert alone.outcome == "open"


@pytest.mark.parametrize(
    ("differences", "p", "p_equivalent", "outcome"),
    [
        ((1.0, 2.0), 0.05, 0.9, "more"),
        ((-1.0, -2.0), 0.05, 0.9, "less"),
        ((1.0, 2.0), 0.051, 0.9, "open"),
        ((1.0, 2.0), 0.9, 0.05, "same"),
        ((1.0, 2.0), 0.01, 0.01, "same"),  # surely different, and surely by less than the margin
    ],
)
def test_a_result_is_judged_by_its_adjusted_p_values(
    differences: tuple[float, ...], p: float, p_equivalent: float, outcome: str
) -> None:
    result = paired(differences, [0.0] * len(differences), MARGIN)
    assert judge(result, p, p_equivalent) == outcome


def test_cells_are_ranked_by_their_means_and_those_without_a_result_have_no_rank() -> None:
    assert ranked({"a": [1, 3], "b": [5], "c": [], "d": [2.5]}) == ["b", "d", "a"]
