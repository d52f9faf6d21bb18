"""What a user reads of an error: one line. Standard library only.

A mistake of the user's says what happened, to what value, and what to do now. A fault, in normexp
or in a part of the user's own, says where it was raised. NORMEXP_TRACEBACK=1 shows the traceback
of either.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

PACKAGE = Path(__file__).parent
PLUGIN = "hydra_plugins/normexp_launcher/"
LIBRARIES = tuple({sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")})
SPACES = "\u00a0\u2009\u202f"
"""That do not break, or are narrow: Python does not call them printable."""
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


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
def as_user_error(
    prefix: str = "", kinds: tuple[type[Exception], ...] = (ValueError,)
) -> Iterator[None]:
    """Turn what a part says of its settings into a UserError on one line."""
    try:
        yield
    except kinds as error:
        raise UserError(prefix + sentence(error)) from error


def sentence(error: BaseException) -> str:
    """Return the message of `error`, and the line of the user's own file that led to it."""
    frames = [frame for frame in _frames(_root(error)) if not _is_normexp(frame.filename)]
    where = "" if isinstance(error, UserError) or not frames else f" ({_shown(frames[-1])})"
    return _one_line(str(error)) + where


def show(error: BaseException, line: str) -> None:
    """Print the line on `error`, and before it the traceback where it is asked for."""
    if os.environ.get("NORMEXP_TRACEBACK"):
        traceback.print_exception(error)
    print(f"normexp: {line}", file=sys.stderr)


def one_line(error: BaseException, folders: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what the user reads of `error`; `folders` are those written to, by their setting."""
    if isinstance(error, UserError):
        return _one_line(str(error))
    if _is_about_settings(error):
        return _one_line(_about_settings(error))
    if isinstance(error, OSError) and error.strerror:
        return _about_file(error, folders)
    return f"{_location(error)}{type(error).__name__}: {_one_line(str(error))}"


def raised_in(error: BaseException) -> str:
    """Return the package that raised `error`, the standard library aside."""
    frames = traceback.walk_tb(error.__traceback__)
    packages = [str(frame.f_globals.get("__name__")).split(".")[0] for frame, _ in frames]
    return next((p for p in reversed(packages) if p not in sys.stdlib_module_names), "")


def suggestion(word: str, known: Iterable[str], most: int | None = None, before: str = "") -> str:
    """Return which of the `known` words may be meant by `word`, or all of them, or the first.

    The one that may be meant is told as it is typed, behind what comes `before` it.
    """
    known = list(known)
    if near := get_close_matches(word, known, n=1):
        return f"did you mean {before}{near[0]}?"
    more = f" and {len(known) - most} more" if most and len(known) > most else ""
    return f"there are: {', '.join(known[:most])}{more}"


def remedies(known: Mapping[str, bool]) -> str:
    """Return the end of a message: each of the `known` remedies that helps."""
    return "".join(f"; {remedy}" for remedy, helps in known.items() if helps)


def visible(text: str, keep: str = "") -> str:
    """Return text with its control characters written out, which a terminal would obey.

    Those to `keep` stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SPACES or c in keep else _code(c) for c in text)


def _code(character: str) -> str:
    return ascii(character)[1:-1]


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))  # a value may have line breaks


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_normexp(file: str) -> bool:
    return Path(file).is_relative_to(PACKAGE) or PLUGIN in Path(file).as_posix()


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a traceback that are normexp's or the user's."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_normexp(frame.filename) or not frame.filename.startswith((*LIBRARIES, "<"))
    ]


def _shown(frame: traceback.FrameSummary) -> str:
    file = Path(frame.filename)
    for folder in (PACKAGE.parent, Path.cwd()):
        if file.is_relative_to(folder):
            file = file.relative_to(folder)
    return f"{file}:{frame.lineno}"


def _location(error: BaseException) -> str:
    frames = _frames(_root(error)) or _frames(error)
    return f"{_shown(frames[-1])}: " if frames else ""


def _about_file(error: OSError, folders: Mapping[str, str]) -> str:
    """Return the reason and the file, and which setting chose its folder."""
    file = os.fsdecode(error.filename) if error.filename else ""
    guilty = [key for key, folder in folders.items() if file and _is_below(file, folder)]
    if not file and error.errno in FULL_DISK:
        guilty = list(folders)
    if raised_in(error) == "hydra":  # it makes a folder, before the command begins
        guilty = ["runtime.outputs"]
    said = ": ".join(filter(None, [error.strerror, file]))
    if guilty:
        what = "a folder that can be written, with room left"
        return f"{said}; {' and '.join(guilty)} must be {what}"
    return f"{_location(error)}{said}"


def _is_below(file: str, folder: str) -> bool:
    return Path(file).absolute().is_relative_to(Path(folder).expanduser().absolute())


def _is_about_settings(error: BaseException) -> bool:
    if type(error).__module__.split(".")[0] in ("hydra", "omegaconf"):
        return True
    # At model=5, say, Hydra raises a plain ValueError.
    return isinstance(error, ValueError) and raised_in(error) in ("hydra", "omegaconf")


def _about_settings(error: Any) -> str:
    """Return what Hydra or OmegaConf says about settings, or better words for it."""
    group, _, name = (getattr(error, "missing_cfg_file", None) or "").rpartition("/")
    if group:
        return f"{group}={name}: there is no such choice; {suggestion(name, error.options or ())}"
    if override := getattr(error, "override", None):
        if "=" not in override:
            return f"'{override}' is not of the form key=value, such as norm=batch"
        text = f"if the value is text, it is quoted twice: {quoted_twice(override)}"
        return f"'{override}' cannot be read; {text}"
    if match := re.match(r"Ambiguous value for argument '(.+?)'\n", str(error)):
        text = f"if the value is text, it is quoted twice: {quoted_twice(match[1])}"
        return f"'{match[1]}' has several values: add -m for a run of each; {text}"
    if match := re.match(r"Could not override '(.+)'", str(error)):
        group, dot, last = match[1].rpartition(".")
        siblings = getattr(error.__cause__, "parent_node", None) or ()
        known = [str(key) for key in siblings if key != "hydra"]
        meant = suggestion(last, known, before=group + dot)
        help_line = meant if known else "--help shows those that there are"
        return f"there is no setting '{match[1]}'; {help_line}"
    said = [_one_line(str(e)) for e in (error, error.__cause__) if e is not None]
    return "; ".join(dict.fromkeys(said))


def quoted_twice(override: str) -> str:
    """Return a line with quotes for Hydra, and around them for a shell."""
    key, _, value = override.partition("=")
    for_hydra = re.sub(r"(\\+)(?='|$)|'", lambda m: f"{m[0]}{m[1]}" if m[1] else r"\'", value)
    for_shell = re.sub(r'([\\"$`])', r"\\\1", f"{key}='{for_hydra}'")
    return f'"{for_shell}"'
