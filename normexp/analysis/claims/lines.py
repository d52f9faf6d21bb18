"""A verdict in lines for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from normexp.analysis.claims.verdict import Verdict

INDENT = " " * 5  # the name of a claim, and two spaces
COLUMN = 19  # letters of "SUPPORTED (decided)"


def lines(verdict: Verdict, further: str, commands: Sequence[str], width: int) -> Iterator[str]:
    """Yield the claim with its verdict, what that rests on, and what is to be typed.

    All but the commands is at most `width` letters wide.
    """
    claim = verdict.claim
    grade = f" ({verdict.grade})" if verdict.grade else ""
    begin = f"{claim.name}  {verdict.word + grade:<{COLUMN}}  "
    yield from textwrap.wrap(begin + claim.claim, width, subsequent_indent=" " * len(begin))
    is_judged = verdict.word != "NOT RUN" and claim.date
    origin = f"judged by the file {claim.digest} of {claim.date}" if is_judged else ""
    said = (f"{w[0].upper()}{w[1:]}." for w in (verdict.reason, origin, further) if w)
    yield from textwrap.wrap(
        " ".join(said),
        width,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_on_hyphens=False,
    )
    yield from (f"{INDENT}{command}" for command in commands)
