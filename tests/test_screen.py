"""A screen that goes away ends no work: its parts alone (`faults/test_screens.py` trains)."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WORK = """
import os, signal, sys
from normexp.screen import outlive_screen, outlive_terminal
outlive_screen()
outlive_terminal()
os.kill(os.getpid(), signal.SIGHUP)  # as a shell sends it on
for _ in range(3):
    print("a line" * 2000, flush=True)
    print("a line" * 2000, file=sys.stderr)
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


@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_a_file_without_room_for_what_is_written_ends_nothing(full: str) -> None:
    with Path("/dev/full").open("w") as file:
        out, err = (file if name == full else subprocess.PIPE for name in ("stdout", "stderr"))
        work = WORK.replace("os._exit(7)", "raise SystemExit(7)")  # the streams are closed
        command = [sys.executable, "-c", work]
        done = subprocess.run(command, check=False, text=True, stdout=out, stderr=err)
    assert done.returncode == 7
    assert "Error" not in (done.stderr or "")


@pytest.mark.parametrize("word", ["--help", "help batch_size", "claims --help", "probe norm=batch"])
def test_an_answer_for_which_a_disk_has_no_room_is_said_not_to_be_whole(word: str) -> None:
    with Path("/dev/full").open("w") as file:
        command = [sys.executable, "-m", "normexp", *word.split()]
        done = subprocess.run(command, check=False, text=True, stdout=file, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "normexp: the output is not whole: its disk has no space left\n"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_command_runs_without_an_output_or_an_error_stream(closed: str) -> None:
    other = {"1": "2", "2": "1"}[closed]
    typed = f"exec {sys.executable} -m normexp help norm {closed}>&- {other}>/dev/null"
    assert subprocess.run(["sh", "-c", typed], check=False).returncode == 0
