"""Tables as text: aligned columns, Markdown, CSV."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from normexp.errors import visible

FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that a spreadsheet calculates."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
TAG = re.compile(r"<(?=[A-Za-z/!?])")
LINK = re.compile(r"\](?=\()")


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Return columns of equal width; those that a `width` has no room for stand in a table below.

    The first column is that of each of these tables.
    """
    rows = [list(map(visible, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    parts: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        taken = sum(widths[j] + 2 for j in parts[-1])
        if width is not None and taken + widths[i] > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(i)
    tables = [
        "\n".join("  ".join(row[i].ljust(widths[i]) for i in part).rstrip() for row in rows)
        for part in parts
    ]
    return "\n\n".join(tables)


def cut(text: str, width: int) -> str:
    """Return a text of at most so many characters; an ellipsis stands for the rest."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def duration(seconds: float) -> str:
    """Return a time for people, such as `5 min`."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def time_left(done: float, total: float, seconds: float) -> str:
    """Return how long the rest takes where `done` of `total` took so many seconds."""
    return f"{duration(seconds * (total - done) / done)} left" if done else "time left not known"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ([markdown_text(cell).replace("|", r"\|") for cell in line] for line in (head, *rows))
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"| {' | '.join(['---'] * len(head))} |", *others])


def markdown_text(text: str) -> str:
    """Return text in which Markdown sees no HTML and no link."""
    return LINK.sub(r"\\\g<0>", TAG.sub("&lt;", visible(text)))


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a line for each row, below the names of all keys that rows have.

    Text that a spreadsheet would calculate has an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer.writerow(map(_inert, keys))
    writer.writerows([_inert(row.get(key, "")) for key in keys] for row in rows)
    return text.getvalue()


def _inert(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text
