"""SIGTERM and SIGINT end a command soon, and it goes on from there."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from .commands import (
    GRID,
    NUM_CELLS,
    ONE,
    SMALL,
    Findings,
    Start,
    found,
    has_checkpoint,
    is_gone,
    left_over,
    wait_until,
)
from .size import IS_FULL, chance, size

SECONDS = 5.0
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)


def codes(number: signal.Signals) -> tuple[int, int]:
    """What a shell takes for a process that the signal ended: handled, or not yet."""
    return 128 + number, -number


@SIGNALS
def test_a_run_stops_at_random_moments_and_goes_on_from_there(
    start: Start, whole: Findings, tmp_path: Path, number: signal.Signals
) -> None:
    moments, stops = chance(number), size(1, 20)
    done = with_checkpoint = 0
    longest = 0.0
    while done < stops:
        where = tmp_path / str(done)
        command = start(where, "train", *SMALL, *ONE)
        # In the short form in the training; before that there is nothing to keep.
        wait_until(lambda: size(0, 1) or list(where.glob("outputs/runs/*/train.log")))  # noqa: B023
        time.sleep(moments.uniform(0, size(0, 1) * 1.2 or 0.3))
        if command.poll() is None:
            began = time.monotonic()
            os.kill(command.pid, number)
            code = command.wait()
            longest = max(longest, time.monotonic() - began)
            # After the last step a run finishes.
            assert code in codes(number) or (code == 0 and found(where) == whole), command.said()
            done += code != 0
            with_checkpoint += has_checkpoint(where)
        command = start(where, "train", *SMALL, *ONE)
        assert command.wait() == 0, command.said()
        assert "Traceback" not in command.said()
        assert found(where) == whole
        assert left_over(where) == []
        shutil.rmtree(where)
    assert longest < SECONDS
    print(f"{done} stopped by {number.name}, {with_checkpoint} with a checkpoint, {longest:.2f} s")


@pytest.mark.skipif(not IS_FULL, reason="sweeps take long; tests/sweep stops small ones")
@SIGNALS
def test_a_sweep_stops_at_random_moments_and_goes_on_from_there(
    start: Start, whole_sweep: Findings, tmp_path: Path, number: signal.Signals
) -> None:
    moments, stops = chance(number), size(1, 20)
    done = 0
    longest = 0.0
    while done < stops:
        where = tmp_path / str(done)
        while len(found(where)) < NUM_CELLS:
            command = start(where, "train", *SMALL, *GRID)
            time.sleep(moments.uniform(0.2, 3.0))
            if done < stops and command.poll() is None:
                cells = command.cells()
                began = time.monotonic()
                os.kill(command.pid, number)
                code = command.wait()
                longest = max(longest, time.monotonic() - began)
                assert code in (0, *codes(number)), command.said()
                done += code != 0
                wait_until(lambda pids=cells: all(is_gone(pid) for pid in pids))  # type: ignore[misc]
            assert command.wait() in (0, *codes(number)), command.said()
            assert "Traceback" not in command.said()
        assert found(where) == whole_sweep
        assert left_over(where) == []
    assert longest < SECONDS
    print(f"{done} stopped by {number.name}, {longest:.2f} s")
