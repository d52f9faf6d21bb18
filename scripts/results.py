"""The tables and figures of docs/results, from the runs that normexp ships.

usage: scripts/results

A table stands in a page between `<!-- rows: accuracy study=heads by=norm,model.after -->` and
`<!-- end -->`, and is written anew; all else in a page stays. A study that no page names gets
one of its own. What may stand behind `rows:` is in TABLES; `by` are the two settings of a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from normexp.analysis.claims.read import read_claim
from normexp.analysis.claims.verdict import Verdict
from normexp.analysis.evidence import Evidence, chosen, shipped
from normexp.analysis.goes_on import sweeps_of
from normexp.analysis.literature import Published, read_published, shapes, verdict_of
from normexp.analysis.render.canvas import svg
from normexp.analysis.render.colours import INK, INK_ON_DARK
from normexp.analysis.render.document import NONE, Figure, Table, interval
from normexp.analysis.report.accuracy import accuracy_section, cell, contrast_section
from normexp.analysis.report.blocks import Block, blocks, factors_of, short
from normexp.analysis.report.comparisons import compare_cells, table, words
from normexp.analysis.report.lens import lens_section
from normexp.analysis.right_images import interval_of
from normexp.analysis.rows import by_study
from normexp.analysis.spread import LEVEL
from normexp.commands.claim_files import digest_of, loaded
from normexp.commands.claims import judged
from normexp.commands.report import asked
from normexp.kinds import typed
from normexp.runs.text import markdown_table, markdown_text
from normexp.settings import SHIPPED
from normexp.shipped import conf_dir

FOLDER = Path(__file__).parents[1] / "docs" / "results"
MARGIN = 0.5  # in points, as in every table
ROWS = re.compile(r"(<!-- rows: (\w+)((?: [\w.]+=[\w.,-]+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
PAGE = """# {title}

{question}

<!-- rows: command study={study} -->
<!-- end -->

<!-- rows: accuracy study={study} -->
<!-- end -->

## Differences

<!-- rows: differences study={study} -->
<!-- end -->

## At reduced contrast

<!-- rows: contrast study={study} -->
<!-- end -->
"""


def main() -> None:
    """Write the pages, and the figures that they name."""
    for file, text in pages(FOLDER).items():
        file.write_text(text, encoding="utf-8")
        for study, by in {(s, by) for name, s, by in tables_of(text) if name == "accuracy"}:
            write_figures(file.parent, study, by)
        print(file.name)


def pages(folder: Path) -> dict[Path, str]:
    """Return the text of each page with its tables as the rows have them, new pages included."""
    texts = {file: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.md"))}
    named = {study for text in texts.values() for _, study, _ in tables_of(text)}
    for study in sorted(by_study(evidence().runs).keys() - named):
        texts[folder / f"{study}.md"] = new_page(study)
    return {
        file: ROWS.sub(lambda found: f"{found[1]}{filled(found[2], found[3])}{found[4]}", text)
        for file, text in texts.items()
        if ROWS.search(text)
    }


def tables_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, study and settings of each table of a page."""
    for _, name, options, _ in ROWS.findall(text):
        given = options_of(options)
        yield name, given.get("study", ""), given.get("by", "")


def options_of(text: str) -> dict[str, str]:
    return dict(each.split("=") for each in text.split())


def filled(name: str, options: str) -> str:
    """Return what stands between the two comments of a table."""
    given, parts = options_of(options), []
    if name in WHOLE:
        parts.append(WHOLE[name]())
    for i, block in enumerate(parts_of(given["study"], given.get("by", "")) if not parts else []):
        heading = f"`{block.title}`\n" if block.title else ""
        parts.append(
            "\n".join(filter(None, [heading, TABLES[name](block, figure_name(given["study"], i))]))
        )
    return "\n" + "\n\n".join(parts) + "\n\n"


@cache
def evidence() -> Evidence:
    return shipped()


@cache
def parts_of(study: str, by: str) -> list[Block]:
    runs = [run for run in evidence().runs if study in run.studies]
    return blocks(runs, by.split(",") if by else factors_of(runs)[:2])


def new_page(study: str) -> str:
    file = conf_dir() / "experiment" / f"{study}.yaml"
    question = asked(file.read_text(encoding="utf-8")) if file.exists() else None
    title = study.replace("_", " ").capitalize()
    return PAGE.format(title=title, question=question or "", study=study)


def accuracy(block: Block, figure: str) -> str:
    """Return the figure, and the table with the intervals over seeds, and over images too."""
    head = [short(block.by[0])]
    for column in block.columns:
        head += [f"{block.head(column)}: over seeds", "over seeds and images"]
    lines = [
        [typed(series), *(text for column in block.columns for text in both(block, series, column))]
        for series in block.series
    ]
    picture = (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{figure}_dark.svg">\n'
        f'  <img alt="Test accuracy by {" and ".join(map(short, block.by))}" src="{figure}.svg">\n'
        "</picture>"
    )
    caption = "Test accuracy in percent, means with 95 % intervals:"
    return "\n\n".join([picture, caption, markdown_table(head, lines)])


def both(block: Block, series: object, column: object) -> tuple[str, str]:
    over_images = interval(interval_of(block.cell(series, column)))
    return cell(block, series, column, LEVEL), over_images or NONE


def differences(block: Block, _: str) -> str:
    found = compare_cells([block], None, MARGIN)
    if not found:
        return "There is nothing to compare."
    return "\n\n".join([words(found), markdown_of(table(found, MARGIN, ""))])


def contrast(block: Block, figure: str) -> str:
    (numbers,) = contrast_section(block, LEVEL, "").tables
    picture = f"![Test accuracy by contrast severity]({figure}_by_contrast.svg)"
    return "\n\n".join([picture, markdown_of(numbers)])


def of_test_batch(block: Block, _: str) -> str:
    section = lens_section(block, LEVEL, "")
    found = [] if section is None else section.tables
    of_severities = [each for each in found if each.name == "lens_severities"]
    return "\n\n".join(map(markdown_of, of_severities)) or "`normexp evaluate` has seen no run."


def command(block: Block, _: str) -> str:
    seeds = ",".join(map(str, sorted({run.seed for run in block.runs})))
    return "```\n" + sweeps_of(block.runs, f"seed={seeds}") + "\n```"


def markdown_of(found: Table) -> str:
    return f"{markdown_text(found.caption)}\n\n{markdown_table(found.head, found.rows)}"


def studies() -> str:
    """Return a row a study: its runs, its seeds, the hours of training, and the machine."""
    lines = []
    for study, runs in by_study(evidence().runs).items():
        ended = [run.result for run in runs if run.result]
        machines = {f"{e.processor} {e.instructions}" for e in (r.environment for r in ended)}
        hours = sum(result.timing.seconds for result in ended) / 3600
        lost = sum(result.test is None for result in ended)
        seeds = len({run.seed for run in runs})
        line = [
            study,
            str(len(runs)),
            str(seeds),
            str(lost),
            f"{hours:.1f}",
            ", ".join(sorted(machines)),
        ]
        lines.append(line)
    return markdown_table(["study", "runs", "seeds", "diverged", "hours", "machine"], lines)


def claims() -> str:
    """Return a row a claim with its verdict, its grade, and what is missing."""
    files = sorted((conf_dir() / "claims").glob("*.yaml"))
    found = judged(
        [read_claim(file.stem, loaded(file), digest_of(file)) for file in files], evidence(), ""
    )
    lines = [
        [each.claim.name, each.claim.claim, each.word, each.grade or NONE, reason(each)]
        for each in found
    ]
    return markdown_table(["", "claim", "verdict", "grade", "depends on, or is missing"], lines)


def reason(verdict: Verdict) -> str:
    """Return what a verdict depends on, or what is missing."""
    if verdict.word != "NOT RUN":
        return verdict.reason or NONE
    claim = verdict.claim
    return f"no run of the study {claim.study}" if claim.study else "it was not measured"


def literature() -> str:
    """Return of each published table its verdict, its setting, and what our runs say to it."""
    return "\n\n".join(literature_part(each) for each in read_published())


def literature_part(published: Published) -> str:
    found = shapes(published, chosen([], SHIPPED).runs)
    rows = [
        [
            each.block or NONE,
            *map(str, (each.agree, each.differ, each.undecided)),
            ", ".join(each.points) or NONE,
        ]
        for each in found
    ]
    head = ["our runs", "agree", "differ", "undecided", "points that differ"]
    parts = [
        f"### {published.title}: {verdict_of(found)}",
        f"{published.setting}. Source: {published.source}.",
        f"Ours differ: {published.differs}",
        markdown_table(head, rows) if rows else "No run of ours has a point of it.",
    ]
    return "\n\n".join(parts)


TABLES: Mapping[str, Callable[[Block, str], str]] = {
    "accuracy": accuracy,
    "differences": differences,
    "contrast": contrast,
    "of_test_batch": of_test_batch,
    "command": command,
}
"""Of a study, a table for each part that may be compared."""
WHOLE: Mapping[str, Callable[[], str]] = {
    "studies": studies,
    "claims": claims,
    "literature": literature,
}
"""Of all rows."""


def figure_name(study: str, part: int) -> str:
    return f"{study}_{part + 1}" if part else study


def write_figures(folder: Path, study: str, by: str) -> None:
    """Draw the accuracy, on white and on dark, and the accuracy by contrast severity."""
    for part, block in enumerate(parts_of(study, by)):
        name = figure_name(study, part)
        (drawn,) = accuracy_section(block, MARGIN, LEVEL, "").figures
        files = {f"{name}.svg": text_of(drawn)}
        files[f"{name}_dark.svg"] = files[f"{name}.svg"].replace(INK, INK_ON_DARK)
        (drawn,) = contrast_section(block, LEVEL, "").figures
        files[f"{name}_by_contrast.svg"] = text_of(drawn)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")


def text_of(figure: Figure) -> str:
    """Return an SVG file without spaces at the ends of lines."""
    return re.sub(r"[ \t]+$", "", svg(figure.drawing), flags=re.MULTILINE)


if __name__ == "__main__":
    main()
