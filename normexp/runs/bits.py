"""A row of yes and no as text: packed into bits, and those in base64."""

from base64 import b64encode
from collections.abc import Sequence


def packed(values: Sequence[bool]) -> str:
    """Return eight values a byte, the first in the highest bit, in base64."""
    bits = "".join("1" if value else "0" for value in values)
    filled = bits + "0" * (-len(bits) % 8)
    return b64encode(bytes(int(filled[i : i + 8], 2) for i in range(0, len(filled), 8))).decode()
