"""A screen that goes away ends no work."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.typed import SMALL
from helpers.waiting import wait_until

from .size import IS_FULL

pytestmark = pytest.mark.skipif(not IS_FULL, reason="tests/test_screen.py has no training")

START = (sys.executable, "-P", "-c", "from normexp.cli import main; main()")
PATIENCE = 300  # seconds, on a busy machine
TRAIN = ("train", *SMALL, "kernels=none")


def logs(folder: Path) -> list[str]:
    return [log.read_text() for log in folder.glob("outputs/runs/*/train.log")]


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
    assert command.wait(PATIENCE) == 0
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


SWEEP = shlex.join([*START, *TRAIN, "-m", "seed=0,1", "runtime.jobs=1"])
DISOWNED = {
    "disown": f"{SWEEP} & disown; read",
    "nohup": f"nohup {SWEEP} & read",
    "setsid": f"setsid {SWEEP} & read",
    "subshell": f"({SWEEP} &); read",
}


@pytest.mark.parametrize("way", DISOWNED if IS_FULL else ["setsid"])
def test_a_sweep_in_the_background_outlives_its_terminal(way: str, tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execvp("bash", ["bash", "-c", f"set -m; {DISOWNED[way]}"])
    wait_until(lambda: bool(list(tmp_path.glob("outputs/runs/*/run.json"))), PATIENCE)
    os.close(terminal)
    os.kill(pid, signal.SIGHUP)
    os.waitpid(pid, 0)
    wait_until(lambda: len(list(tmp_path.glob("outputs/runs/*/result.json"))) == 2, PATIENCE)
    assert_finished(tmp_path, 2)


@pytest.mark.skipif(not IS_FULL, reason="a process of its own takes seconds to import torch")
def test_a_sweep_whose_reader_goes_away_after_a_line_ends_well(tmp_path: Path) -> None:
    line = f"{SWEEP} 2>&1 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["0"]
    assert_finished(tmp_path, 2)


@pytest.mark.skipif(not IS_FULL, reason="a process of its own takes seconds to import torch")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_what_a_script_starts_in_the_background_stops_when_asked(
    number: signal.Signals, tmp_path: Path
) -> None:
    # A shell without job control has what it puts in the background ignore SIGINT.
    long = shlex.join([*START, *TRAIN, "epochs=1000"])
    line = f"{long} & echo $! >pid; wait $!; echo $? >code"
    with subprocess.Popen(["bash", "-c", line], cwd=tmp_path, stderr=subprocess.DEVNULL) as shell:
        wait_until(lambda: any("epoch 1:" in text for text in logs(tmp_path)), PATIENCE)
        os.kill(int((tmp_path / "pid").read_text()), number)
        shell.wait(PATIENCE)
    assert (tmp_path / "code").read_text().strip() == str(128 + number)
    assert list(tmp_path.glob("outputs/runs/*/checkpoint.pt"))
    assert_finished(tmp_path, 0)
