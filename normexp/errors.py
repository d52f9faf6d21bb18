"""What ends a command without a traceback, and in which words. Standard library only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from traceback import walk_tb


class UserError(Exception):
    """A user's mistake. Its message is one line: what happened, to what value, what to do now."""


class Stopped(KeyboardInterrupt):
    """The user or the system asked the process to stop, and it has left a checkpoint."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    def __reduce__(self) -> tuple[type[Stopped], tuple[int, str]]:
        return type(self), (self.signal_number, str(self))


@contextmanager
def mistakes_told(
    prefix: str = "", kinds: tuple[type[Exception], ...] = (ValueError,)
) -> Iterator[None]:
    """Turn what a part says of its settings into a UserError on one line."""
    try:
        yield
    except kinds as error:
        raise UserError(prefix + " ".join(str(error).split())) from error


def one_line(error: BaseException) -> str | None:
    """Return what to tell the user, or None where the error is ours and wants its traceback."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())  # a value may have line breaks
    # Hydra raises its own types, but a plain ValueError at model=5, say.
    raised_in = [frame.f_globals["__name__"] for frame, _ in walk_tb(error.__traceback__)][-1:]
    sources = {name.split(".")[0] for name in (type(error).__module__, *raised_in)}
    if sources & {"hydra", "omegaconf"}:
        return " ".join(_about_settings(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f": {os.fsdecode(error.filename)}" if error.filename else ""
        return (
            f"{error.strerror}{where}; runtime.outputs and runtime.cache_dir must be folders "
            "that can be written, with room left"
        )
    return None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return which of the `known` words may be meant by `word`, or all of them."""
    known = list(known)
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"


def _about_settings(error: BaseException) -> str:
    """Return what Hydra or OmegaConf says about settings, or better words for it."""
    group, _, name = (getattr(error, "missing_cfg_file", None) or "").rpartition("/")
    if group:
        return f"{group}={name}: there is no such choice; {suggestion(name, error.options or ())}"  # type: ignore[attr-defined]
    if override := getattr(error, "override", None):
        if "=" not in override:
            return f"'{override}' is not of the form key=value, such as norm=batch"
        return (
            f"'{override}' cannot be read; quote a value that has spaces, brackets, commas or "
            "'=' in it twice: \"key='a=b'\""
        )
    if match := re.match(r"Could not override '(.+)'", str(error)):
        last = match[1].rpartition(".")[2]
        siblings = getattr(error.__cause__, "parent_node", None) or ()
        known = [str(key) for key in siblings if key != "hydra"]
        return f"there is no setting '{match[1]}'; {suggestion(last, known)}"
    told = [" ".join(str(e).split()) for e in (error, error.__cause__) if e is not None]
    return "; ".join(dict.fromkeys(told))
