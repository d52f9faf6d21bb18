"""The report on a study: its sections, and its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from normexp.analysis.measures import accuracy
from normexp.analysis.render.canvas import png
from normexp.analysis.render.document import Document, Figure, Section, plural
from normexp.analysis.render.latex import latex
from normexp.analysis.render.markdown import markdown
from normexp.analysis.render.page import page
from normexp.analysis.report.accuracy import accuracy_section, contrast_section
from normexp.analysis.report.blocks import Block, blocks
from normexp.analysis.report.comparisons import CellComparison, compare_cells, words
from normexp.analysis.report.files import cells_csv, runs_csv
from normexp.analysis.report.leads import leads
from normexp.analysis.report.learned import readings_section
from normexp.analysis.report.lens import lens_section
from normexp.analysis.report.provenance import origin_section, state_section
from normexp.analysis.report.setup import setup_section
from normexp.analysis.report.training import training_section
from normexp.analysis.rows import Run
from normexp.analysis.scores import counts
from normexp.analysis.setup import unfair_none
from normexp.runs.files import write_atomic
from normexp.tuned import Tuned

MOST_LEADS = 12  # more are not listed in short; the tables have them


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
    of_blocks = [_block_sections(block, found, choices, i) for i, block in enumerate(parts)]
    sections = [setup_section(runs, tuned), Section("In short", list(_in_short(parts, found)))]
    if len(parts) == 1:
        sections += of_blocks[0]
    else:
        sections += [
            Section(block.title, sections=own) for block, own in zip(parts, of_blocks, strict=True)
        ]
    sections += [state_section(runs, parts), origin_section(runs)]
    document = Document(heading.title, heading.question, sections, heading.origin)

    (to / "figures").mkdir(parents=True, exist_ok=True)
    for figure in _figures(sections):
        write_atomic(to / "figures" / f"{figure.name}.svg", figure.svg.encode())
        write_atomic(to / "figures" / f"{figure.name}.png", png(figure.drawing))
    tables = [table for own in of_blocks for section in own for table in section.tables]
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


def _block_sections(
    block: Block, found: Sequence[CellComparison], choices: Choices, index: int
) -> list[Section]:
    """Return the sections of a block; `index` makes the names of its files its own."""
    name, level = f"part{index + 1}_" if block.title else "", choices.level
    own = [comparison for comparison in found if comparison.block is block]
    sections = [accuracy_section(block, own, choices.margin, level, name)]
    if block.has(accuracy):
        sections.append(contrast_section(block, level, name))
        sections.append(training_section(block, level, name))
    more = [readings_section(block, level, name), lens_section(block, level, name)]
    return sections + [section for section in more if section is not None]


def _in_short(parts: Sequence[Block], found: Sequence[CellComparison]) -> Iterator[str]:
    finished = sum(accuracy(run) is not None for block in parts for run in block.runs)
    total = sum(len(block.runs) for block in parts)
    yield f"{finished} of {plural(total, 'run')} have a test accuracy."
    if not finished:
        return
    yield from diverged_words(parts)
    if unfair := unfair_none(run for block in parts for run in block.runs):
        yield unfair
    yield from words(found)
    best = [lead for block in parts for lead in leads(block)]
    if len(best) <= MOST_LEADS:
        yield from (str(lead) for lead in best if lead.second is not None)


def diverged_words(parts: Sequence[Block]) -> Iterator[str]:
    """Yield how many runs of which cells diverged."""
    lost = [
        f"{block.title} {block.place(*at)} {count} of {len(runs)}".strip()
        for block in parts
        for at, runs in block.cells.items()
        if (count := counts(runs)[0])
    ]
    if lost:
        yield f"Diverged, which counts as chance: {'; '.join(lost)}."


def _figures(sections: Sequence[Section]) -> Iterator[Figure]:
    for section in sections:
        yield from section.figures
        yield from _figures(section.sections)
