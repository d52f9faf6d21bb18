"""A screen that goes away ends no work."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.typed import SMALL

from .size import IS_FULL

pytestmark = pytest.mark.skipif(not IS_FULL, reason="tests/test_screen.py has no training")

START = (sys.executable, "-P", "-c", "from normexp.cli import main; main()")
TRAIN = ("train", *SMALL, "kernels=none")


def assert_finished(folder: Path, number: int) -> None:
    assert len(list(folder.glob("outputs/runs/*/result.json"))) == number
    assert not list(folder.glob("outputs/runs/*/failure.json"))


def test_a_closed_pipe_ends_no_training(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [*START, *TRAIN], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    command.stderr.close()
    assert command.wait(120) == 0
    assert_finished(tmp_path, 1)


def test_a_closed_terminal_ends_no_sweep(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execv(START[0], [*START, *TRAIN, "-m", "seed=0,1", "runtime.jobs=1"])
    assert os.read(terminal, 1)  # it is under way
    os.close(terminal)
    os.kill(pid, signal.SIGHUP)  # as a shell sends it on
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert_finished(tmp_path, 2)
