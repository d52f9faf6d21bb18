"""What a person sees of a run while it trains."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Callable

import pytest

from normexp.engine.progress import LINE_SECONDS, Progress

NAME = "resnet18-instance_not_stem-b1024-strong-s0"


def on_a_terminal(columns: int, show: Callable[[], None]) -> str:
    """What `show` writes in a child whose terminal has so many columns."""
    pid, terminal = pty.fork()
    if not pid:
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        sys.stderr = os.fdopen(2, "w")
        show()
        os._exit(0)
    said = b""
    try:
        while part := os.read(terminal, 4096):
            said += part
    except OSError:  # the child has gone
        pass
    os.waitpid(pid, 0)
    return said.decode()


def test_a_run_at_80_columns_has_a_bar_of_20_and_its_numbers() -> None:
    def show() -> None:
        with Progress(NAME, 200, 0) as progress:
            progress.show(100, (5, 10), 1.25, 1234.0)
            progress.end_epoch("epoch 5", 0.612)
            time.sleep(0.2)  # the bar moves ten times a second at most
            progress.show(120, (6, 10), 1.2, 1234.0)
            progress.measure()

    text = on_a_terminal(80, show)
    assert "  measuring the test images" in text
    lines = [line for line in re.split(r"[\r\n]|\x1b\[A", text) if line.strip()]
    assert max(map(len, lines)) <= 80
    assert NAME not in text
    bars = [line for line in lines if "epoch 6/10" in line]
    assert all(re.search(r"^resnet18-inst.*…, epoch 6/10 \|.{20,}\| .* left", bar) for bar in bars)
    assert bars
    assert any("loss 1.200, validation 61.2 %, 1234 images/s" in line for line in lines)


@pytest.mark.parametrize("columns", [36, 50, 60])
def test_the_name_gives_way_to_the_time_left_on_a_narrow_terminal(columns: int) -> None:
    def show() -> None:
        with Progress(NAME, 200, 0) as progress:
            for step in (100, 120):
                time.sleep(0.2)
                progress.show(step, (6, 10), 1.2, 1234.0)

    text = on_a_terminal(columns, show)
    lines = re.split(r"[\r\n]|\x1b\[A", text)
    assert max(map(len, lines)) <= columns
    bars = [line for line in lines if "epoch 6/10" in line]
    assert bars
    assert all(re.search(r"^[\w-]*…, epoch 6/10 \|.+\| [\d:]+ left$", bar) for bar in bars), bars


def test_a_note_is_written_once_above_the_bar() -> None:
    def show() -> None:
        with Progress("a-run", 200, 100) as progress:
            progress.note("going on after step 100")

    text = on_a_terminal(80, show)
    assert len(re.findall(r"going on after step 100\r?\n", text)) == 1


def test_the_time_left_of_a_resumed_run_is_that_of_its_own_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("tqdm.std.time", lambda: now)

    def show() -> None:
        nonlocal now
        with Progress("a-run", 1100, 1000) as progress:
            for step in range(1001, 1011):  # ten seconds a step, and 90 steps are left
                now += 10.0
                progress.show(step, (1, 1), 1.2, 1234.0)

    assert re.findall(r"\| (\S+) left", on_a_terminal(80, show))[-1] == "15:00"


def test_off_a_terminal_there_is_a_line_a_minute_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Progress("a-run", 100, 0) as progress:
        for step in range(1, 101):  # ten seconds a step
            progress.show(step, ((step + 3) // 4, 25), 1.0, 50.0)
            if step % 4 == 0:
                progress.end_epoch(f"epoch {step // 4}: done", 0.5)
            now += 10.0
    lines = capsys.readouterr().err.splitlines()
    assert 1000 / LINE_SECONDS - 4 <= len(lines) <= 1000 / LINE_SECONDS + 2
    assert lines[-1] == "epoch 25: done"
    assert any(re.match(r"epoch \d+/25, step \d+ of 100, \d+ min left: loss", li) for li in lines)


def test_of_few_epochs_each_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("a-run", 4, 0) as progress:
        for step in range(1, 5):
            progress.show(step, (step, 4), 1.0, 50.0)
            progress.end_epoch(f"epoch {step}: done", 0.5)
    assert capsys.readouterr().err.splitlines() == [f"epoch {k}: done" for k in range(1, 5)]
