"""Names of files as text: any encoding, accents in either form, and many of them."""

import os
from collections.abc import Sequence
from unicodedata import normalize


def composed(name: str) -> str:
    """Return a name with é as one character; macOS writes it as two."""
    return name if name.isascii() else normalize("NFC", name)


def readable(name: str) -> str:
    """Return a file's name as text that can be printed, whatever its encoding."""
    if name.isascii() and name.isprintable():
        return name
    text = composed(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def several(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and three dots where there are more."""
    return ", ".join(names[:most]) + ", …" * (len(names) > most)
