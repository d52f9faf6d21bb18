"""A document as Markdown, with figures as files in `figures/`."""

import re
from collections.abc import Iterator

from normexp.analysis.render.document import Document, Section
from normexp.errors import visible
from normexp.runs.text import markdown_table, markdown_text


def markdown(document: Document) -> str:
    question = [markdown_text(document.question)] if document.question else []
    parts = [f"# {markdown_text(document.title)}", *question]
    parts += [f"**{markdown_text(words)}**" for words in document.answer]
    if document.next_code:
        parts += [markdown_text(document.next_words), fenced(document.next_code)]
    for section in document.sections:
        parts += _section(section, 2)
    return "\n\n".join([*parts, markdown_text(document.origin)]) + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {markdown_text(section.title)}"
    yield from map(markdown_text, section.words)
    if section.code:
        yield fenced(section.code)
    for figure in section.figures:
        alternative = markdown_text(figure.alternative)
        yield f"![{alternative}](figures/{figure.name}.svg)\n\n{markdown_text(figure.caption)}"
    for table in section.tables:
        yield markdown_text(table.caption)
        rows = [
            [f"**{cell}**" if (i, j) in table.bold else cell for j, cell in enumerate(row)]
            for i, row in enumerate(table.rows)
        ]
        yield markdown_table(table.head, rows)
    for inner in section.sections:
        yield from _section(inner, depth + 1)
    if section.links:
        yield ", ".join(f"[{markdown_text(words)}]({to})" for words, to in section.links)


def fenced(lines: str) -> str:
    """Return lines to be typed, in a fence that is longer than any in them."""
    code = visible(lines, keep="\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}\n{code}\n{fence}"
