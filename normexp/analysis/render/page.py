"""A document as one HTML file: no script, no request, readable by keyboard, in print, in the dark.

A content policy forbids every request, so the page cannot make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from normexp.analysis.render.document import INK, Document, Figure, Section, Table

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #59626d;
  --line: #d5d9de; --shade: #f4f6f8; --link: #0a58a6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ea; --paper: #15181c; --soft: #9aa4af;
  --line: #363c44; --shade: #1e2227; --link: #7db8f0; } }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --shade: #fff;
  --link: #000; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 84rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
p, li { max-width: 46rem; }
.question { font-size: 1.15rem; }
.origin, caption, figcaption { color: var(--soft); font-size: .9rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.figures { display: grid; gap: 1rem; grid-template-columns:
  repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); align-items: start; }
figure { margin: 0; min-width: 0; }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 18rem; max-width: 36rem; height: auto; }
.table { overflow-x: auto; margin: 1rem 0; max-width: max-content; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .3rem 0; }
caption span { display: block; position: sticky; left: 0;
  width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
thead th { background: var(--shade); white-space: normal; vertical-align: bottom;
  min-width: 5.5rem; }
td.long { white-space: normal; min-width: 34rem; overflow-wrap: anywhere;
  font-family: ui-monospace, monospace; font-size: .85em; }
summary { cursor: pointer; }
summary > * { display: inline; border: 0; }
pre { overflow-x: auto; background: var(--shade); padding: .7rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; }
@media print { .wide, .table { overflow: visible; } th, td { white-space: normal; }
  figure, tr { break-inside: avoid; } nav, .skip { display: none; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LONG = ("command", "goes on with", "reason")
"""Columns whose cells may break."""


def page(document: Document) -> str:
    """Return the document as HTML."""
    sections = document.sections
    links = "".join(
        f'<li><a href="#{anchor(section)}">{escape(section.title)}</a></li>' for section in sections
    )
    question = f'<p class="question">{escape(document.question)}</p>' if document.question else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(document.title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<h1>{escape(document.title)}</h1>
{question}
<p class="origin">{escape(document.origin)}</p>
</header>
<nav aria-label="Contents"><ul>{links}</ul></nav>
<main id="main">
{"".join(line for section in sections for line in _section(section, 2))}
</main>
</body>
</html>
"""


def anchor(section: Section) -> str:
    """Return the id of a section, from its title."""
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")


def _section(section: Section, depth: int) -> Iterator[str]:
    kind = "details" if section.folded else "section"
    title = f"<h{depth}>{escape(section.title)}</h{depth}>\n"
    yield f'<{kind} id="{anchor(section)}">\n' if depth == 2 else f"<{kind}>\n"
    yield f"<summary>{title}</summary>" if section.folded else title
    yield from (f"<p>{escape(words)}</p>\n" for words in section.words)
    if section.code:
        yield f'<pre tabindex="0">{escape(section.code)}</pre>\n'
    if section.figures:
        yield f'<div class="figures">{"".join(map(_figure, section.figures))}</div>\n'
    yield from map(_table, section.tables)
    for inner in section.sections:
        yield from _section(inner, depth + 1)
    if section.links:
        links = (f'<a href="{escape(to)}">{escape(words)}</a>' for words, to in section.links)
        yield f"<p>{', '.join(links)}</p>\n"
    yield f"</{kind}>\n"


def _figure(figure: Figure) -> str:
    drawing = inline(figure.svg, figure.name)
    named = f'<svg role="img" aria-label="{escape(figure.alternative)}"'
    return (
        f'<figure><div class="wide">{drawing.replace("<svg", named, 1)}</div>'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>\n"
    )


def inline(text: str, name: str) -> str:
    """Return an SVG file as an element of a page: its ids are its own, its ink is the page's."""
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid=")', rf"\g<1>{name}-", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, count=1)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    body = "".join(f"<tr>{''.join(_cells(table.head, row))}</tr>\n" for row in table.rows)
    label = escape(table.caption)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption><span>{label}</span></caption><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>"
        "</table></div>\n"
    )


def _cells(head: list[str], row: list[str]) -> Iterator[str]:
    yield f'<th scope="row">{escape(row[0])}</th>'
    for name, cell in zip(head[1:], row[1:], strict=True):
        yield (
            f'<td class="long">{escape(cell)}</td>' if name in LONG else f"<td>{escape(cell)}</td>"
        )
