"""Settings, and the comments of the files in `conf/`, as text of 80 columns."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill, wrap

from normexp.kinds import Part
from normexp.settings import Setting
from normexp.shipped import Shipped, own_words, prefixed, shipped

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


def table(
    settings: Iterable[Setting], values: dict[str, str], files: dict[str, Path] | None = None
) -> Iterator[str]:
    """Yield an entry a setting; one that only some of the choices in `files` give says so."""
    for setting in settings:
        text = words(setting)
        if files and setting.key not in values:
            group = setting.key.partition(".")[0]
            having = [n for n, f in files.items() if setting.key in prefixed(group, shipped(f))]
            text += f"; with {group}={','.join(having[:3])}" if having else ""
        yield entry(setting.key, values.get(setting.key), text)


def words(setting: Setting) -> str:
    """Return what a setting does, and its type."""
    kind = setting.kind.words.rstrip(",").removeprefix("a ").replace(" or null", ", or null")
    return setting.words if isinstance(setting.kind, Part) else f"{setting.words} [{kind}]"


def own_entries(group: str, of: Shipped) -> Iterator[str]:
    """Yield the settings that a part has for itself."""
    values = prefixed(group, of)
    yield from (entry(key, values[key], text) for key, text in own_words(group, of).items())
