"""A document as Markdown, with figures as files in `figures/`."""

from collections.abc import Iterator

from normexp.analysis.render.document import Document, Section
from normexp.runs.text import markdown_table


def markdown(document: Document) -> str:
    parts = [f"# {document.title}", *([document.question] if document.question else [])]
    parts.append(document.origin)
    for section in document.sections:
        parts += _section(section, 2)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {section.title}"
    yield from section.words
    if section.code:
        yield f"```\n{section.code}\n```"
    for figure in section.figures:
        yield f"![{figure.alternative}](figures/{figure.name}.svg)\n\n{figure.caption}"
    for table in section.tables:
        yield table.caption
        yield markdown_table(table.head, table.rows)
    for inner in section.sections:
        yield from _section(inner, depth + 1)
    if section.links:
        yield ", ".join(f"[{words}]({to})" for words, to in section.links)
