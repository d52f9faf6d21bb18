"""SIGKILL at any moment costs nothing but time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
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
    is_gone,
    left_over,
    wait_until,
)
from .size import IS_FULL, chance, size


def state(where: Path) -> str:
    """How far the runs below a folder have come, in words."""
    names = Counter(file.name for file in where.glob("outputs/runs/*/*"))
    if any(name.endswith(".tmp") for name in names):
        return "as it saved"
    what = ("result.json", "weights.pt", "checkpoint.pt", "train.log", "run.json")
    return next((f"after {name}" for name in what if names[name]), "before its folder")


def test_a_sweep_killed_at_random_moments_ends_like_an_undisturbed_one(
    start: Start, whole_sweep: Findings, tmp_path: Path
) -> None:
    moments, kills, sweeps = chance(1), size(3, 100), 0
    done: Counter[str] = Counter()
    while done.total() < kills:
        where, sweeps = tmp_path / str(sweeps), sweeps + 1
        seen: set[int] = set()
        code: int | None = None
        while code != 0 or len(found(where)) < NUM_CELLS:
            command = start(where, "train", *SMALL, *GRID)
            # It composes and checks its cells first; kills there are most if nothing is done.
            time.sleep(moments.uniform(0.3, 3.0))
            while done.total() < kills and command.poll() is None:
                time.sleep(moments.uniform(0.01, 1.0))
                cells = command.cells()
                seen.update(cells)
                victim = moments.choice([command.pid, *cells, *cells])
                if command.poll() is None:
                    with suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                        done["the sweep" if victim == command.pid else "a cell"] += 1
            code = command.wait()
            assert "Traceback" not in command.said()
            # The killed sweep's cells are about to stop; every second time the sweep goes on now.
            if moments.random() < 0.5:
                wait_until(lambda pids=seen: all(is_gone(pid) for pid in pids))  # type: ignore[misc]
        wait_until(lambda pids=seen: all(is_gone(pid) for pid in pids))  # type: ignore[misc]
        assert found(where) == whole_sweep
        assert left_over(where) == []
        shutil.rmtree(where)
    print(f"{dict(done)} killed in {sweeps} sweeps")


def test_a_run_killed_at_random_moments_ends_like_an_undisturbed_one(
    start: Start, whole: Findings, tmp_path: Path
) -> None:
    moments, kills, runs = chance(2), size(1, 100), 0
    done: Counter[str] = Counter()
    while done.total() < kills:
        where, runs = tmp_path / str(runs), runs + 1
        code: int | None = None
        while code != 0:
            command = start(where, "train", *SMALL, *ONE)
            time.sleep(moments.uniform(0.3, 1.5))
            if done.total() < kills and command.poll() is None:
                command.kill()
                done[state(where)] += 1
            code = command.wait()
            assert "Traceback" not in command.said()
        assert found(where) == whole
        assert left_over(where) == []
        shutil.rmtree(where)
    print(f"killed {dict(done)} in {runs} runs")


def test_a_run_killed_before_any_change_to_a_file_ends_like_an_undisturbed_one(
    start: Start, whole: Findings, tmp_path: Path
) -> None:
    arguments = ("train", *SMALL, *ONE, "runtime.checkpoint_seconds=1000")  # the same changes
    last = start(tmp_path / "all", *arguments, die_at=1000)
    assert last.wait() == 0
    changes = re.findall(r"^#\d+ (\S+) (.*)$", last.said(), re.MULTILINE)
    assert len(changes) > 15
    assert changes[-1][1].endswith("claim.json")
    numbers = range(1, len(changes) + 1)
    problems = []
    for number in numbers if IS_FULL else numbers[-2:-1]:
        where = tmp_path / str(number)
        assert start(where, *arguments, die_at=number).wait() == -signal.SIGKILL
        again = start(where, *arguments)
        assert again.wait() == 0, again.said()
        assert found(where) == whole
        event, path = changes[number - 1]
        problems += [f"{left} after {event} {Path(path).name}" for left in left_over(where)]
    assert problems == []
    print(f"killed before {size(1, len(changes))} changes")


@pytest.mark.skipif(not IS_FULL, reason="processes of their own take seconds to import torch")
def test_so_does_a_sweep_of_processes_that_are_no_forks(
    whole_sweep: Findings, tmp_path: Path
) -> None:
    moments = chance(3)
    command = [sys.executable, "-m", "normexp", "train", *SMALL, *GRID]
    for _ in range(6):
        with (tmp_path / "said").open("a") as log:
            sweep = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        time.sleep(moments.uniform(6, 16))
        children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children")
        with suppress(OSError):
            victim = moments.choice([sweep.pid, *map(int, children.read_text().split())])
            os.kill(victim, signal.SIGKILL)
        sweep.wait()
    while True:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        if done.returncode == 0 and len(found(tmp_path)) == NUM_CELLS:
            break
    assert "Traceback" not in (tmp_path / "said").read_text()
    assert found(tmp_path) == whole_sweep
    assert left_over(tmp_path) == []
