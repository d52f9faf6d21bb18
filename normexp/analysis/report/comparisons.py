"""Every series against a reference, column by column, and how sure one may be of each pair."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from normexp.analysis.compare import Comparison, Family, Pairs, compare
from normexp.analysis.goes_on import Further, goes_on
from normexp.analysis.measures import Measure, accuracy
from normexp.analysis.render.document import NONE, Section, Table, interval, number, p_value
from normexp.analysis.report.blocks import Block
from normexp.analysis.right_images import Images, images_of
from normexp.analysis.rows import Run, design_of
from normexp.errors import UserError
from normexp.kinds import typed
from normexp.runs.runtime import Design
from normexp.runs.text import plural

DEFAULT_REFERENCE = "batch"


@dataclass(frozen=True)
class CellComparison:
    """The accuracy of a cell less that of the reference in the same column, in points."""

    block: Block
    column: object
    series: object
    reference: object
    comparison: Comparison

    @property
    def name(self) -> str:
        where = f", {self.block.head(self.column)}" if self.column is not None else ""
        return f"{typed(self.series)} − {typed(self.reference)}{where}"

    @property
    def sides(self) -> tuple[list[Run], list[Run]]:
        first, second = (self.block.cell(s, self.column) for s in (self.series, self.reference))
        return first, second

    @property
    def runs(self) -> list[Run]:
        return [run for side in self.sides for run in side]

    @property
    def is_lost(self) -> bool:
        """Whether in one of the two cells no run has learned."""
        sides = (self.block.scores(s, self.column) for s in (self.series, self.reference))
        return any(scores.is_lost for scores in sides)

    @property
    def notes(self) -> str:
        """How many runs of either cell diverged or are at chance."""
        sides = zip((self.series, self.reference), self.comparison.pairs.notes, strict=False)
        return "; ".join(f"{typed(side)}: {note}" for side, note in sides if note)

    @cached_property
    def images(self) -> Images | None:
        """The difference over seeds and test images; None where they cannot be paired."""
        return images_of(*self.sides)


def compare_cells(
    blocks: Sequence[Block], reference: str | None, margin: float, measure: Measure = accuracy
) -> list[CellComparison]:
    """Return the comparisons of every block; raises UserError if no run has the `reference`.

    The comparisons of a block by one measure, an accuracy, are one table, and one family.
    """
    known = dict.fromkeys(typed(series) for block in blocks for series in block.series)
    if reference is not None and reference not in known:
        raise UserError(f"reference={reference}: no run has it; there are: {', '.join(known)}")
    return [each for block in blocks for each in _of_block(block, reference, margin, measure)]


def _of_block(
    block: Block, reference: str | None, margin: float, measure: Measure
) -> Iterator[CellComparison]:
    wanted = DEFAULT_REFERENCE if reference is None else reference
    base = next((s for s in block.series if typed(s) == wanted), block.series[0])
    places = [(s, c) for c in block.columns for s in block.series if s != base]
    pairs = [
        Pairs.of(block.scores(s, c, measure), block.scores(base, c, measure), margin)
        for s, c in places
    ]
    family = Family("the comparisons of this table", design_of(block.runs))
    for (series, column), each in zip(places, compare(family, pairs), strict=True):
        yield CellComparison(block, column, series, base, each)


def section(found: Sequence[CellComparison], margin: float, name: str) -> Section:
    """Return what a block's comparisons come to, each of them, and how to go on."""
    section = Section("Comparisons", [words(found)])
    section.tables.append(table(found, margin, f"{name}comparisons"))
    if more := further(found):
        section.words.append(f"What is open or likely goes on with ({more.words}):")
        section.code = more.command
    return section


def table(found: Sequence[CellComparison], margin: float, name: str) -> Table:
    head = [
        *("compared", "seeds", "difference", "interval", "grade", "p", "over images too"),
        *("correlation", "seeds needed", "diverged or at chance"),
    ]
    family = found[0].comparison.family
    test = (
        "anytime-valid t tests, by Holm's method, with confidence sequences, as seeds were added "
        "after a look"
        if family.design is Design.SEQUENTIAL
        else "a permutation test (joint sign flips), with its simultaneous intervals"
    )
    caption = (
        "Test accuracy, differences in points between runs of the same seed; a diverged run counts "
        f"as chance. Decided: p ≤ 5 % over {family.name} by {test}. The same: two one-sided t "
        f"tests within ±{margin:g} points. Likely: the 95 % interval of the comparison alone "
        "excludes 0. The interval is that of the grade. Over images too: the 95 % interval of this "
        "comparison for other test images like these. Correlation: between the two accuracies of a "
        "seed, over seeds. Seeds needed: to show such a difference four times in five. The tests: "
        "docs/statistics.md."
    )
    return Table(name, caption, head, [_line(each) for each in found])


def _line(each: CellComparison) -> list[str]:
    comparison, images = each.comparison, each.images
    return [
        each.name,
        *graded_cells(comparison),
        interval(images.interval, 2) if images else NONE,
        number(images.correlation if images else None, 2),
        f"{comparison.seeds_needed:,}" if comparison.is_undecided else NONE,
        each.notes or NONE,
    ]


def graded_cells(comparison: Comparison) -> list[str]:
    """Return seeds, difference, interval, grade and p."""
    graded = comparison.graded
    if graded is None:
        return ["0", NONE, NONE, comparison.text, NONE]
    ends = interval(graded.interval, 2) or NONE
    return [str(graded.seeds), number(graded.mean, 2), ends, comparison.text, p_value(graded.p)]


def further(found: Sequence[CellComparison]) -> Further | None:
    """Return the command that goes on with what is short of decided; None where all is."""
    short = [each for each in found if each.comparison.is_undecided]
    return goes_on([each.sides for each in short], [each.comparison for each in short])


def words(found: Sequence[CellComparison]) -> str:
    """Return how many comparisons came to which grade."""
    if not any(each.comparison.pairs.seeds for each in found):
        return "No two runs that ended share a seed, so nothing can be compared."
    counts = Counter(_kind(each.comparison) for each in found)
    counted = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return f"Of {plural(len(found), 'comparison')}: {counted}."


def _kind(comparison: Comparison) -> str:
    """Return the grade, and for a difference its direction."""
    graded = comparison.graded
    if graded is None:
        return comparison.text
    direction = {"more": " higher", "less": " lower"}.get(comparison.outcome, "")
    return graded.text() if graded.is_decided_below else f"{graded.text()}{direction}"
