"""SIGKILL at any moment costs nothing but time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from .commands import (
    GRID,
    NUM_CELLS,
    ONE,
    SMALL,
    Findings,
    Start,
    assert_undisturbed,
    found,
    is_gone,
    left_over,
    wait_until,
)
from .moments import hit
from .size import IS_FULL, chance, size

SWEEP = pytest.mark.skipif(not IS_FULL, reason="tests/sweep/test_pool.py kills a small one")


@pytest.mark.parametrize(
    ("arguments", "undisturbed"),
    [(ONE, "whole"), pytest.param(GRID, "whole_sweep", marks=SWEEP)],
)
def test_what_is_killed_at_random_moments_ends_like_what_is_not(
    arguments: tuple[str, ...],
    undisturbed: str,
    start: Start,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    expected: Findings = request.getfixturevalue(undisturbed)
    moments, kills, folders = chance(len(arguments)), size(2, 100), 0
    done: Counter[str] = Counter()
    while done.total() < kills:
        where, folders = tmp_path / str(folders), folders + 1
        seen: set[int] = set()
        code: int | None = None
        while code != 0 or found(where).keys() != expected.keys():
            command = start(where, "train", *SMALL, *arguments)
            while done.total() < kills:
                victim, moment = hit(where, command, signal.SIGKILL, moments)
                if not victim:
                    break
                who = "a cell" if victim != command.pid else "the command"
                done[f"{who} {moment}"] += 1
            code = command.wait()
            seen |= command.processes
            # A killed sweep's cells are about to stop; every second time it goes on at once.
            if moments.random() < 0.5:
                wait_until(lambda: all(map(is_gone, seen)))  # noqa: B023
        wait_until(lambda: all(map(is_gone, seen)))  # noqa: B023
        assert_undisturbed(where, expected, command)
    print(f"killed in {folders} folders:", *sorted(done.items()), sep="\n  ")


@pytest.mark.slow
def test_a_run_killed_before_any_change_to_a_file_ends_like_an_undisturbed_one(
    start: Start, whole: Findings, tmp_path: Path
) -> None:
    arguments = ("train", *SMALL, *ONE, "runtime.checkpoint_seconds=1000")  # the same changes
    last = start(tmp_path / "all", *arguments, die_at=1000)
    assert last.wait() == 0
    changes = re.findall(r"^#\d+ (\S+) (.*)$", last.said(), re.MULTILINE)
    assert len(changes) > 15
    assert changes[-1][1].endswith("lock.json")
    numbers = range(1, len(changes) + 1)
    for number in numbers if IS_FULL else numbers[-2:-1]:
        where = tmp_path / str(number)
        assert start(where, *arguments, die_at=number).wait() == -signal.SIGKILL
        again = start(where, *arguments)
        assert again.wait() == 0, again.said()
        assert_undisturbed(where, whole, again)
    print(f"killed before {size(1, len(changes))} changes")


def pictures(root: Path) -> str:
    """Leave a data set of the user's own."""
    for i, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        (root / name).mkdir(parents=True)
        for j in range(6):
            Image.new("RGB", (8, 8), (i, j, 0)).save(root / name / f"{j}.png")
    return str(root)


@pytest.mark.skipif(not IS_FULL, reason="a run for each change of a file takes seconds")
@pytest.mark.parametrize("data", ["generated", "images"])
def test_a_kill_as_the_cache_is_written_leaves_nothing_behind(
    data: str, start: Start, tmp_path: Path
) -> None:
    root = [f"data.root={pictures(tmp_path / 'pictures')}"] if data == "images" else SMALL[1:3]
    tiny = ("model.network.widths=[8,8,8,8,8,8]", "epochs=0", "runtime.threads=1", "kernels=none")
    own = ("train", f"data={data}", *root, *tiny, "batch_size=4", "runtime.cache_dir=own-cache")
    last = start(tmp_path / "all", *own, die_at=1000)
    assert last.wait() == 0, last.said()
    kept = {file.name for file in (tmp_path / "all/own-cache").iterdir()}
    numbers = re.findall(r"^#(\d+) \S+ .*own-cache/", last.said(), re.MULTILINE)
    assert len(numbers) >= 3 * len(kept)
    for number in map(int, numbers):
        where = tmp_path / str(number)
        assert start(where, *own, die_at=number).wait() == -signal.SIGKILL
        again = start(where, *own)
        assert again.wait() == 0, again.said()
        assert {file.name for file in (where / "own-cache").iterdir()} == kept
        assert left_over(where) == []
    print(f"killed before {len(numbers)} changes of the cache")


@pytest.mark.skipif(not IS_FULL, reason="processes of their own take seconds to import torch")
def test_so_does_a_sweep_that_a_user_would_type(whole_sweep: Findings, tmp_path: Path) -> None:
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
