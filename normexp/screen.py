"""A screen that goes away ends no work: a pipe of `| head -1`, a closed terminal.

Standard library only.
"""

import errno
import io
import signal
import sys
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)
"""Of a pipe that nobody reads any more, and of a terminal that is closed."""


class Screen(io.FileIO):
    """A file descriptor; what is written to it once it has gone is dropped."""

    def write(self, data: Any, /) -> int:  # bytes, or a view of them
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return memoryview(data).nbytes


def outlive() -> None:
    """Let this process go on without its screen."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of a terminal that is closed


def _lasting(stream: TextIO) -> TextIO:
    stream.flush()
    screen = Screen(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(screen),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=screen.isatty() or stream is sys.stderr,
    )
