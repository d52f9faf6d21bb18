"""The report on a study: its sections, and its files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from normexp.analysis.measures import accuracy
from normexp.analysis.render.canvas import pdf
from normexp.analysis.render.colours import INK, INK_ON_DARK
from normexp.analysis.render.document import Document, Figure, Section, Table
from normexp.analysis.render.latex import latex
from normexp.analysis.render.markdown import markdown
from normexp.analysis.render.page import page
from normexp.analysis.report import comparisons
from normexp.analysis.report.accuracy import accuracy_section, contrast_section, further_tables
from normexp.analysis.report.answer import answer, main_block, what_next
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import Block, blocks, splitting
from normexp.analysis.report.classes import classes_section
from normexp.analysis.report.comparisons import CellComparison, compare_cells
from normexp.analysis.report.files import cells_csv, runs_csv
from normexp.analysis.report.leads import lead_table, leads
from normexp.analysis.report.learned import readings_section
from normexp.analysis.report.lens import lens_section
from normexp.analysis.report.provenance import commands_section, state_section
from normexp.analysis.report.setup import rates_section, setup_table
from normexp.analysis.report.training import cost_section, curves_section
from normexp.analysis.rows import Run
from normexp.analysis.setup import setup
from normexp.runs.files import write_atomic
from normexp.tuned import Tuned

OTHERS = "Test accuracy of the other parts"
ORDER = (
    *(OTHERS, "Comparisons", "Contrast augmentation", "Contrast severity", "Curves"),
    *("Learning rate", "Gates", "What layers have learned", "Confusion matrix and classes"),
    *("Other contrasts, other statistics", "Cost", "State of the runs", "Commands"),
)
"""Of the sections that fold."""


MOST_DRAWN = 2
"""Of more parts only the first has its curves drawn: drawing is what a report waits for."""


@dataclass(frozen=True)
class Heading:
    """What a report begins with."""

    title: str
    question: str | None
    origin: str  # where, when and with what it was made


@dataclass(frozen=True)
class Choices:
    """What the user may choose of a report."""

    by: Sequence[str]  # what is compared, and over what: one or two settings
    reference: str | None  # None: batch norm where there is one, else the first
    margin: float  # differences below this many points do not matter
    level: float  # of the intervals of means; comparisons are judged at 5 %


def write_report(
    runs: Sequence[Run], choices: Choices, heading: Heading, to: Path, tuned: Sequence[Tuned] = ()
) -> Path:
    """Write the report on `runs` into the folder `to`, and return its page.

    `tuned` are the learning rates that were chosen, of whichever study.

    Raises UserError where the runs have no such settings as `choices` names.
    """
    parts = blocks(runs, choices.by)
    found = compare_cells(parts, choices.reference, choices.margin)
    tried = Augmentation.of(runs, choices.by, choices.margin)
    subjects = _subjects(parts, found, choices)
    if tried is not None:
        subjects.append(tried.section("augmentation"))
    trained = setup(runs, tuned)
    opening = _opening(trained, parts, choices)
    folded = [
        *subjects,
        rates_section(trained["learning rate"], runs, tuned),
        state_section(runs, parts),
    ]
    folded = sorted([*folded, commands_section(runs)], key=lambda each: ORDER.index(each.title))
    sections = [*opening, *(replace(section, folded=True) for section in folded)]
    words = [*answer(parts, found, tried, tuned)]
    then = what_next(main_block(parts), found, tuned)
    document = Document(heading.title, heading.question, sections, heading.origin, words, *then)

    (to / "figures").mkdir(parents=True, exist_ok=True)
    for figure in _figures(sections):
        write_atomic(to / "figures" / f"{figure.name}.svg", figure.svg.encode())
        write_atomic(to / "figures" / f"{figure.name}.pdf", pdf(figure.drawing))
    for figure in opening[0].figures:
        on_dark = figure.svg.replace(INK, INK_ON_DARK)
        write_atomic(to / "figures" / f"{figure.name}_dark.svg", on_dark.encode())
    tables = [table for section in (*opening, *subjects) for table in _tables(section)]
    files = {
        "report.md": markdown(document),
        "report.tex": latex(tables),
        "report.csv": cells_csv(parts, found, choices.level),
        "runs.csv": runs_csv(runs),
        "index.html": page(document),
    }
    for name, text in files.items():
        write_atomic(to / name, text.encode())
    return to / "index.html"


def _opening(trained: Mapping[str, str], parts: Sequence[Block], choices: Choices) -> list[Section]:
    """Return the set-up beside the figure that shows the answer, and the table of accuracy."""
    block = main_block(parts)
    shown = accuracy_section(block, choices.margin, choices.level, _name(parts, block))
    set_up = Section("What was trained", tables=[setup_table(trained)], beside=True)
    set_up.figures, shown.figures = shown.figures, []
    if len(parts) > 1:
        words = f"Figure and table are of {block.title}; the other parts are below"
        apart = splitting([run for part in parts for run in part.runs], block.by)
        if len(apart) == 1:
            by = ",".join((apart[0], *block.by[1:]))
            words += f"; normexp report by=[{by}] compares them"
        shown.words.insert(0, f"{words}.")
    return [set_up, shown]


def _name(parts: Sequence[Block], block: Block) -> str:
    """Return what makes the names of a block's files its own."""
    return f"part{parts.index(block) + 1}_" if len(parts) > 1 else ""


def _subjects(
    parts: Sequence[Block], found: Sequence[CellComparison], choices: Choices
) -> list[Section]:
    """Return a section for each subject, with one for each block in it where there are several."""
    by_title: dict[str, list[Section]] = {}
    for block in parts:
        for section in _of_block(block, parts, found, choices):
            own = by_title.setdefault(section.title, [])
            own.append(replace(section, title=block.title or section.title))
            if block.title:
                own[-1] = _captioned(own[-1], block.title)
    return [
        Section(title, sections=own) if len(parts) > 1 else own[0]
        for title, own in by_title.items()
    ]


def _captioned(section: Section, title: str) -> Section:
    """Return the section with the block's title in its captions, which then differ."""
    return replace(
        section,
        tables=[each._replace(caption=f"{title}: {each.caption}") for each in section.tables],
        figures=[replace(each, caption=f"{title}: {each.caption}") for each in section.figures],
    )


def _of_block(
    block: Block, parts: Sequence[Block], found: Sequence[CellComparison], choices: Choices
) -> Iterator[Section]:
    level, name = choices.level, _name(parts, block)
    is_drawn = len(parts) <= MOST_DRAWN or block is main_block(parts)
    own = [comparison for comparison in found if comparison.block is block]
    compared = comparisons.section(own, choices.margin, name) if own else Section("Comparisons")
    best = list(leads(block))
    if len(block.series) > 1 and best:
        compared.tables.append(lead_table(block, best, name))
    compared.tables += further_tables(block, level, name)
    if own or compared.tables:
        yield compared
    if block is not main_block(parts):
        yield replace(accuracy_section(block, choices.margin, level, name), title=OTHERS)
    if block.has(accuracy):
        yield contrast_section(block, level, name)
        yield curves_section(block, level, name, is_drawn)
    more = (readings_section(block, level, name), classes_section(block, name))
    yield from (section for section in (*more, lens_section(block, level, name)) if section)
    if block.has(accuracy):
        yield cost_section(block, level, name, is_drawn)


def _figures(sections: Sequence[Section]) -> Iterator[Figure]:
    for section in sections:
        yield from section.figures
        yield from _figures(section.sections)


def _tables(section: Section) -> Iterator[Table]:
    yield from section.tables
    for inner in section.sections:
        yield from _tables(inner)
