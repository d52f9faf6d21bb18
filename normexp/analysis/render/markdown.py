"""A document as Markdown, with figures as files in `figures/`."""

import re
from collections.abc import Iterator

from normexp.analysis.render.document import Document, Section
from normexp.errors import visible
from normexp.runs.text import markdown_table, markdown_text


def markdown(document: Document) -> str:
    words = [document.question or "", document.origin]
    parts = [f"# {markdown_text(document.title)}", *filter(None, map(markdown_text, words))]
    for section in document.sections:
        parts += _section(section, 2)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {markdown_text(section.title)}"
    yield from map(markdown_text, section.words)
    if section.code:
        code = visible(section.code, keep="\n")
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
        yield f"{fence}\n{code}\n{fence}"
    for figure in section.figures:
        alternative = markdown_text(figure.alternative)
        yield f"![{alternative}](figures/{figure.name}.svg)\n\n{markdown_text(figure.caption)}"
    for table in section.tables:
        yield markdown_text(table.caption)
        yield markdown_table(table.head, table.rows)
    for inner in section.sections:
        yield from _section(inner, depth + 1)
    if section.links:
        yield ", ".join(f"[{markdown_text(words)}]({to})" for words, to in section.links)
