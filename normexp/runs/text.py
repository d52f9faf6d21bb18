"""Tables as text: aligned columns, Markdown, CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def cut(text: str, width: int) -> str:
    """Return a text of at most so many characters; an ellipsis stands for the rest."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


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
    lines = ([cell.replace("|", r"\|") for cell in line] for line in (head, *rows))
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"| {' | '.join(['---'] * len(head))} |", *others])


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a line for each row, below the names of all keys that rows have."""
    text = io.StringIO()
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
