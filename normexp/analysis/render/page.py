"""A document as one HTML file: no script, no request, readable by keyboard, in print, in the dark.

A content policy forbids every request, so the page cannot make one. The form of the page is in
`templates/`.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from normexp.analysis.render.document import INK, Document, Figure, Section
from normexp.errors import visible

LONG = ("command", "goes on with", "reason", "what")  # columns whose cells may break


def page(document: Document) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value, "\n") if type(value) is str else value,
    )
    environment.filters |= {"anchor": anchor, "inline": inline}
    return environment.get_template("page.html.j2").render(document=document, long=LONG)


def anchor(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")


def inline(figure: Figure) -> Markup:
    """Return a figure's SVG file as an element: its ids are its own, its ink is the page's."""
    text = figure.svg[figure.svg.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid=")', rf"\g<1>{figure.name}-", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{figure.name}-", text)
    tag, _, content = text.partition(">")
    (view_box,) = re.findall(r'viewBox="[^"]*"', tag)
    named = Markup('<svg role="img" aria-label="{}" {}>').format(
        figure.alternative, Markup(view_box)
    )
    return named + Markup(content)
