"""The comparison of cells: paired by seed, tested within a family, graded.

The report, the claims and the advice call it, and add their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from normexp.analysis.grades import EVIDENCE, Evidence, Grade, Graded, at_chance, grade
from normexp.analysis.intervals import Adjusted, Interval
from normexp.analysis.power import MIN_SEEDS, seeds_to_decide
from normexp.analysis.scores import Scores
from normexp.runs.runtime import Design

K = TypeVar("K")
Outcome = Literal["more", "less", "same", "open", "chance", "not drawn", "missing"]
"""How the first cell is to the second; `same`: they differ by less than the margin."""
SMALLEST_MARGIN = 1e-12  # stands in for a margin of 0, within which only equal values are


@dataclass(frozen=True)
class Family:
    """The comparisons that are adjusted together, so that few of them are told by chance."""

    name: str
    design: Design = Design.PLANNED


@dataclass(frozen=True)
class Pairs:
    """What two cells found, for each seed that both have."""

    seeds: tuple[int, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    margin: float  # differences below it do not matter
    is_drawn: bool = True  # whether a conclusion may be drawn, see `Scores`
    at_chance: bool = False  # whether both cells are
    notes: tuple[str, ...] = ()  # how many runs of either cell diverged or are at chance
    unit: str = "points"

    @classmethod
    def of(cls, first: Scores, second: Scores, margin: float, unit: str = "points") -> Pairs:
        seeds = tuple(sorted(first.values.keys() & second.values.keys()))
        left, right = (tuple(side.values[seed] for seed in seeds) for side in (first, second))
        is_drawn = first.is_drawn and second.is_drawn
        at_chance = first.is_at_chance and second.is_at_chance
        notes = (first.note, second.note)
        return cls(seeds, left, right, margin, is_drawn, at_chance, notes, unit)

    @property
    def differences(self) -> Mapping[int, float]:
        """First less second by seed; what differs by rounding only is equal."""
        limit = 1e-12 * max(map(abs, (*self.first, *self.second)), default=0.0)
        found = (a - b for a, b in zip(self.first, self.second, strict=True))
        return dict(zip(self.seeds, (d if abs(d) > limit else 0.0 for d in found), strict=True))


@dataclass(frozen=True)
class Comparison:
    """Two cells as a family of comparisons judges them."""

    family: Family
    pairs: Pairs
    graded: Graded | None  # None where no seed has both, or no conclusion may be drawn

    @property
    def outcome(self) -> Outcome:
        """How the first is to the second, decided or likely."""
        if not self.pairs.seeds and self.pairs.is_drawn:
            return "missing"
        if self.graded is None:
            return "not drawn"
        if self.graded.grade is Grade.NOT_ABOVE_CHANCE:
            return "chance"
        if self.graded.grade is Grade.SAME:
            return "same"
        if self.graded.grade is Grade.OPEN:
            return "open"
        return "more" if self.graded.mean > 0 else "less"

    @property
    def is_undecided(self) -> bool:
        """Whether it is open or likely, so that more seeds may say more."""
        return self.graded is not None and self.graded.grade in (Grade.OPEN, Grade.LIKELY)

    @property
    def seeds_needed(self) -> int:
        if not self.pairs.seeds:
            return MIN_SEEDS
        return seeds_to_decide(self.pairs.differences.values(), self.pairs.margin)

    @property
    def text(self) -> str:
        """The grade in words; what is open or likely has the lead in numbers."""
        if not self.pairs.seeds and self.pairs.is_drawn:
            return "no pair of runs"
        if self.graded is None:
            return "not drawn"
        words = self.graded.text()
        return f"{words}: {self.graded.lead}" if self.is_undecided else words

    @property
    def lead_words(self) -> str:
        """The lead in numbers, then the grade; without a pair, why there is none."""
        return f"{self.graded.lead} ({self.graded.text()})" if self.graded else self.text


def compare(family: Family, pairs: Sequence[Pairs]) -> list[Comparison]:
    """Return the comparison of each of the `pairs` within their family.

    Those without a pair, not to be drawn, or of two cells at chance are no part of it.
    """
    is_tested = [bool(p.seeds) and p.is_drawn and not p.at_chance for p in pairs]
    tested = {i: each for i, each in enumerate(pairs) if is_tested[i]}
    # In units of its margin each comparison has a margin of 1.
    scales = {i: max(each.margin, SMALLEST_MARGIN) for i, each in tested.items()}
    scaled = {
        i: {seed: d / scales[i] for seed, d in each.differences.items()}
        for i, each in tested.items()
    }
    evidence = EVIDENCE[family.design](scaled, 1.0)
    return [
        Comparison(family, each, _graded(each, evidence.get(i), scales.get(i, 1.0)))
        for i, each in enumerate(pairs)
    ]


def _graded(pairs: Pairs, evidence: Evidence | None, scale: float) -> Graded | None:
    if evidence is not None:
        own = _rescaled(evidence, scale)
        return grade(pairs.differences, own, pairs.margin, pairs.unit)
    if pairs.seeds and pairs.is_drawn:
        return at_chance(pairs.differences, pairs.unit)
    return None


def _rescaled(evidence: Evidence, scale: float) -> Evidence:
    def interval(each: Interval | None) -> Interval | None:
        return each and Interval(each.low * scale, each.high * scale, each.without_zero)

    def adjusted(each: Adjusted) -> Adjusted:
        return Adjusted(each.p, interval(each.interval))

    return Evidence(
        adjusted(evidence.different), adjusted(evidence.same), interval(evidence.unadjusted)
    )


def ranked(found: Mapping[K, Scores]) -> list[K]:
    """Return the keys by their means, the highest first; those without values have no rank."""
    means = {key: scores.mean for key, scores in found.items() if scores.values}
    return sorted(means, key=lambda key: -means[key])


def tied(found: Mapping[K, Scores], best: K) -> list[K]:
    """Return the keys whose mean is that of the best, itself included."""
    return [
        key
        for key, scores in found.items()
        if scores.values and abs(scores.mean - found[best].mean) < 1e-9
    ]


def not_worse(
    columns: Sequence[Mapping[K, Scores]], margin: float, design: Design = Design.PLANNED
) -> list[set[K]]:
    """Return of each column the best and those that are not decided to be worse than it.

    The comparisons with the best of all columns are one family. Columns whose best is at chance
    have none.
    """
    found: list[set[K]] = []
    places: list[tuple[int, K]] = []
    pairs: list[Pairs] = []
    for i, scores in enumerate(columns):
        best = next(iter(ranked(scores)), None)
        if best is None or scores[best].is_at_chance:
            found.append(set())
            continue
        found.append({best})
        for key, own in scores.items():
            if key != best and own.values and not own.is_at_chance:
                places.append((i, key))
                pairs.append(Pairs.of(own, scores[best], margin))
    family = Family("the best of each column against the others", design)
    for (i, key), each in zip(places, compare(family, pairs), strict=True):
        is_decided = each.graded is not None and each.graded.grade is Grade.DECIDED
        if not (is_decided and each.outcome == "less"):
            found[i].add(key)
    return found


def weakest(comparisons: Iterable[Comparison]) -> Grade:
    """Return the grade that all comparisons that were drawn reach; open where there is none."""
    grades = [each.graded.grade for each in comparisons if each.graded]
    order = (Grade.OPEN, Grade.NOT_ABOVE_CHANCE, Grade.LIKELY, Grade.SAME, Grade.DECIDED)
    return min(grades, key=order.index, default=Grade.OPEN)
