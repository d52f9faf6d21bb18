"""Tables as text: aligned columns, Markdown, CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


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
