"""Settings, and the comments of the files in `conf/`, as text of 80 columns."""

import re
from collections.abc import Iterator
from textwrap import fill, wrap

from normexp.shipped import Shipped

WIDTH = 80
INDENT = 24


def entry(key: str, value: str | None, text: str) -> str:
    """Return `key=value` and its words, within the width."""
    typed = f"  {key}" if value is None else f"  {key}={value}"
    lines = wrap(text, WIDTH - INDENT, break_on_hyphens=False) or [""]
    if len(typed) < INDENT - 1:
        typed, lines = f"{typed:<{INDENT}}{lines[0]}".rstrip(), lines[1:]
    typed = fill(typed, WIDTH, subsequent_indent=" " * INDENT, drop_whitespace=False)
    return "\n".join([typed, *(" " * INDENT + line for line in lines)])


def about(of: Shipped) -> Iterator[str]:
    """Yield the comment at the top of a file, as paragraphs and examples within the width."""
    paragraph: list[str] = []
    for line in [*of.words, ""]:
        if paragraph and (not line or line.startswith("normexp ")):
            yield fill(" ".join(paragraph), WIDTH)
            paragraph = []
        if line.startswith("normexp "):
            yield fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
        elif line:
            paragraph.append(line)


def first_sentence(of: Shipped) -> str:
    """Return the first sentence of a file's comment."""
    return re.split(r"(?<=[.?!])(?<!al\.) ", " ".join(of.words))[0].rstrip(".")
