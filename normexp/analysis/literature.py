"""Published numbers beside our runs, and whether they have the same shape.

A *point* is a difference between two norms at one place (a batch size, a contrast severity), or
between two neighbouring places of one norm. Only points that both have are compared, and only those
whose published difference is at least the margin. Ours is graded as all comparisons are, the points
of a block being one family: it agrees where it is decided or likely and of the same sign, and
differs where it is of the other sign, or decided to be the same. The shape is `other` where a point
differs, `same shape` where one agrees and none differs, else `not measured`. A curve has a shape
where two places of it are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

import yaml  # type: ignore[import-untyped]

from normexp.analysis.compare import Family, Outcome, Pairs, compare
from normexp.analysis.measures import accuracy, at_contrast
from normexp.analysis.report.blocks import Block, blocks
from normexp.analysis.rows import Run, design_of
from normexp.analysis.scores import Scores
from normexp.errors import UserError
from normexp.kinds import typed
from normexp.runs.plain import Plain, from_plain
from normexp.shipped import conf_dir

USUAL = {
    "data.crop": ("2",),
    "data.red_scale": ("null",),
    "data.gain_spread": ("null",),
    "accumulate": ("1",),
}
"""Published tables are of images as they are and of one batch a step, and but for one with crops in
training, as ours are."""
Verdict = Literal["same shape", "other", "not measured"]
Side = tuple[str, str]  # a norm and a place


@dataclass(frozen=True)
class Published:
    """A table of a paper, its norms by our names."""

    name: str  # of its file
    title: str
    source: str
    setting: str
    differs: str
    """How our runs differ from it, which may explain another shape."""
    over: Literal["batch_size", "severity", "norm"]
    """What the places are; `norm`: there is one place only."""
    numbers: Mapping[str, Mapping[str, float]]
    """Accuracy in percent by norm and place."""
    where: Mapping[str, tuple[str, ...]]
    """Which of our runs it is compared with: settings, and the values that they may have."""
    margin: float = 0.5  # a smaller published difference has no sign

    @property
    def conditions(self) -> Mapping[str, tuple[str, ...]]:
        """The settings of the runs that it is compared with: `where`, and the usual ones."""
        return {**USUAL, **self.where}

    @property
    def has_places(self) -> bool:
        return self.over != "norm"


@dataclass(frozen=True)
class Shape:
    """What a block of our runs says to a published table."""

    block: str  # its settings, where there are several
    verdict: Verdict
    agree: int
    differ: int
    undecided: int
    points: tuple[str, ...]
    """Those that differ, in words."""

    @property
    def plain(self) -> Plain:
        return asdict(self)


def read_published(folder: Path | None = None) -> list[Published]:
    """Return what `conf/literature/` holds; raises UserError with the file and the key."""
    return [_read(file) for file in sorted((folder or conf_dir() / "literature").glob("*.yaml"))]


def _read(file: Path) -> Published:
    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
        plain["numbers"] = {
            norm: {str(place): float(number) for place, number in own.items()}
            for norm, own in plain["numbers"].items()
        }
        plain["where"] = {k: [typed(v) for v in own] for k, own in plain.get("where", {}).items()}
        words = {key: " ".join(v.split()) for key, v in plain.items() if isinstance(v, str)}
        return from_plain(Published, {**plain, **words, "name": file.stem})
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split()).lstrip(".: ")
        raise UserError(f"{file}: {reason}") from error


def shapes(published: Published, runs: Sequence[Run]) -> list[Shape]:
    """Return the verdict of each block of runs that has a point; none: it is not measured."""
    kept = [run for run in runs if _fits(published, run)]
    by = ["norm", "batch_size"] if published.over == "batch_size" else ["norm"]
    parts = blocks(kept, by) if kept else []
    return [shape for block in parts if (shape := _shape(published, block))]


def verdict_of(found: Sequence[Shape]) -> Verdict:
    """Return the verdict over all blocks: other where one differs."""
    verdicts = {each.verdict for each in found}
    order: tuple[Verdict, ...] = ("other", "same shape")
    return next((verdict for verdict in order if verdict in verdicts), "not measured")


def _fits(published: Published, run: Run) -> bool:
    """Whether a run is compared with a table; images that are drawn say nothing of real ones."""
    if run.spec.data.name == "generated":
        return False
    wanted = {"norm": (*published.numbers,), **published.conditions}
    return all(typed(run.factors.get(key)) in values for key, values in wanted.items())


def _shape(published: Published, block: Block) -> Shape | None:
    scores = {
        (norm, place): own
        for norm, numbers in published.numbers.items()
        for place in numbers
        if (own := _scores(published, block, norm, place)).values
    }
    points = [
        (one, two, difference)
        for one, two in _points(published, scores)
        if abs(difference := _at(published, one) - _at(published, two)) >= published.margin
    ]
    places = {place for _, place in scores}
    if not points or (published.has_places and len(places) < 2):
        return None
    pairs = [Pairs.of(scores[one], scores[two], published.margin) for one, two, _ in points]
    family = Family("the points of a published table", design_of(block.runs))
    found = [
        (_answer(each.outcome, difference), one, two)
        for each, (one, two, difference) in zip(compare(family, pairs), points, strict=True)
    ]
    count = Counter(answer for answer, _, _ in found)
    words = tuple(_words(published, one, two) for answer, one, two in found if answer == "differ")
    verdict: Verdict = "same shape" if count["agree"] else "not measured"
    return Shape(
        block.title,
        "other" if words else verdict,
        count["agree"],
        count["differ"],
        count["undecided"],
        words,
    )


def _at(published: Published, side: Side) -> float:
    return published.numbers[side[0]][side[1]]


def _points(published: Published, scores: Mapping[Side, Scores]) -> Iterator[tuple[Side, Side]]:
    places = sorted({place for _, place in scores}, key=float)
    for place in places:
        yield from combinations([side for side in scores if side[1] == place], 2)
    for norm in published.numbers:
        yield from pairwise((norm, place) for place in places if (norm, place) in scores)


def _scores(published: Published, block: Block, norm: str, place: str) -> Scores:
    series = next((each for each in block.series if typed(each) == norm), None)
    if published.over == "batch_size":
        column = next((each for each in block.columns if typed(each) == place), None)
        return block.scores(series, column)
    measure = at_contrast(place) if published.over == "severity" else accuracy
    return block.scores(series, None, measure)


def _answer(outcome: Outcome, published: float) -> str:
    if outcome == "same":
        return "differ"
    if outcome not in ("more", "less"):
        return "undecided"
    return "agree" if (outcome == "more") == (published > 0) else "differ"


def _words(published: Published, one: Side, two: Side) -> str:
    """Return a point, as "group − batch at 2", "batch: 8 − 2" or "batch − fixup"."""
    if one[1] == two[1]:
        return f"{one[0]} − {two[0]}" + f" at {one[1]}" * published.has_places
    return f"{one[0]}: {one[1]} − {two[1]}"
