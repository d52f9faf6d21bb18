"""A screen that goes away ends no work: its parts alone (`faults/test_screens.py` trains)."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest

WORK = """
import os, signal
from normexp.screen import outlive
outlive()
os.kill(os.getpid(), signal.SIGHUP)  # as a shell sends it on
for _ in range(3):
    print("a line" * 2000, flush=True)
os._exit(7)  # it came to its end
"""


@pytest.mark.parametrize("make", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_what_is_written_to_a_screen_that_is_gone_ends_nothing(
    make: Callable[[], tuple[int, int]],
) -> None:
    reader, writer = make()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", WORK], stdout=writer, stderr=writer, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == 7
