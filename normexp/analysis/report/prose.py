"""Settings and comparisons in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from normexp.analysis.compare import Comparison
from normexp.analysis.grades import Grade
from normexp.analysis.render.document import number
from normexp.analysis.report.blocks import Block, short
from normexp.analysis.report.comparisons import CellComparison
from normexp.kinds import typed

NONE = {"norm": "no norm", "contrast": "no augmentation"}
PLAIN_NORMS = ("batch", "instance", "group", "layer")
"""Whose name with "norm" behind it is a term of the field."""


def said(key: str, value: object) -> str:
    """Return a setting as it is said: "batch norm", "no norm", "norm=both", "batch size 4"."""
    word = typed(value)
    if word == "none" and key in NONE:
        return NONE[key]
    if key == "norm" and word in PLAIN_NORMS:
        return f"{word} norm"
    return f"norm={word}" if key == "norm" else f"{short(key)} {word}"


def sentence(own: Sequence[CellComparison]) -> str:
    """Return what the comparisons of one series with the reference come to."""
    block, first = own[0].block, own[0]
    groups: dict[tuple[str, str], list[CellComparison]] = {}
    for each in own:
        graded = each.comparison.graded
        groups.setdefault((each.comparison.outcome, graded.text() if graded else ""), []).append(
            each
        )
    key = block.by[0]
    reference = said(key, first.reference)
    order = sorted(groups.values(), key=lambda group: _certainty(group[0]))
    parts = [_part(group, block, reference) for group in order]
    # The reference need not be named twice.
    than = f" than with {reference}"
    later = [part.replace(than, "") if than in parts[0] else part for part in parts[1:]]
    return f"With {said(key, first.series)}, test accuracy is {'; '.join([*parts[:1], *later])}."


def _certainty(each: CellComparison) -> int:
    """Return the place of a grade in a sentence: the surest first."""
    order = (Grade.DECIDED, Grade.SAME, Grade.LIKELY, Grade.OPEN, Grade.NOT_ABOVE_CHANCE)
    graded = each.comparison.graded
    return order.index(graded.grade) if graded else len(order)


def _part(group: Sequence[CellComparison], block: Block, reference: str) -> str:
    where = at(block, [each.column for each in group])
    found = [each.comparison for each in group]
    graded, outcome = found[0].graded, found[0].outcome
    if graded is None:
        return f"not compared with {reference}{where} ({found[0].text})"
    if outcome == "chance":
        return f"not above chance{where}, nor with {reference}"
    if outcome == "open":
        text = found[0].text if len(found) == 1 else "open"
        return f"not decided against {reference}{where} ({text})"
    if outcome == "same":
        within = f"within ±{found[0].pairs.margin:g} points"
        return f"the same as with {reference}{where}, {within}"
    side = "higher" if outcome == "more" else "lower"
    return f"{amount(found)} {side} than with {reference}{where} ({graded.text()})"


def amount(found: Sequence[Comparison]) -> str:
    """Return how many points, from the least to the most."""
    points = sorted(abs(each.graded.mean) for each in found if each.graded)
    least, most = number(points[0]), number(points[-1])
    return f"{least} points" if least == most else f"{least} to {most} points"


def at(block: Block, columns: Sequence[object]) -> str:
    """Return where something holds, such as " at batch sizes 4 and 8"; empty for one column."""
    if len(block.columns) == 1:
        return "" if columns[0] is None else f" at {block.head(columns[0])}"
    name = short(block.by[1])
    if len(columns) == len(block.columns) > 2:
        return f" at every {name}"
    names = f"{name}s" if len(columns) > 1 and "." not in name else name
    return f" at {names} {listed([*map(typed, columns)])}"


def listed(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
