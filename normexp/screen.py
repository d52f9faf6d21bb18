"""A screen that goes away ends no work, and one that cannot show a character shows another.

It goes away with a pipe of `| head -1`, and with a closed terminal. Standard library only.
"""

import codecs
import errno
import io
import signal
import sys
from typing import Any, TextIO

from normexp.errors import FULL_DISK

GONE = (errno.EPIPE, errno.EIO, errno.ENXIO, *FULL_DISK)
"""Of a pipe that nobody reads any more, of a terminal that is closed, of a file without room."""

SPELLED = {"±": "+-", "–": "-", "−": "-", "×": "x", "…": "...", "→": "->", "“": '"', "”": '"'}


class Screen(io.FileIO):
    """A file descriptor; what is written to it once it has gone is dropped."""

    is_whole = True
    """False once something was dropped for want of room on a disk."""

    def write(self, data: Any, /) -> int:  # bytes, or a view of them
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
            self.is_whole &= error.errno not in FULL_DISK
            return memoryview(data).nbytes


def spell_out() -> None:
    """Let characters that the screen's encoding lacks be written in others."""
    codecs.register_error("normexp", _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="normexp")


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(SPELLED.get(each, ascii(each)[1:-1]) for each in text), error.end


def outlive_screen() -> None:
    """Drop what is written to a screen that has gone, instead of ending with an error."""
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):  # None where it was closed before, as by `>&-`
            setattr(sys, name, _lasting(stream))


def outlive_terminal() -> None:
    """Let this process go on when its terminal is closed."""
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def is_whole(stream: TextIO) -> bool:
    """Whether nothing that was written to a stream was dropped for want of room on a disk."""
    screen = getattr(getattr(stream, "buffer", None), "raw", None)
    if not isinstance(screen, Screen):
        return True
    stream.flush()
    return screen.is_whole


def _lasting(stream: TextIO) -> TextIO:
    stream.flush()
    screen = Screen(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(screen),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=screen.isatty() or stream is sys.stderr,
    )
