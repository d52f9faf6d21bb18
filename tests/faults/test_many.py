"""Sweeps of thousands begin and end soon, and take no more memory and descriptors as they go."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from .commands import SMALL, Start, found
from .size import IS_FULL, size

BENCH = Path(__file__).parents[2] / "scripts/bench_cells.py"
GROWTH_MB = 24


@pytest.mark.skipif(not IS_FULL, reason="processes of their own take seconds to import torch")
def test_a_sweep_of_thousands_begins_and_is_finished_when_typed_again() -> None:
    command = [sys.executable, "-P", str(BENCH), "cells=2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    print(done.stdout)


@pytest.mark.slow
def test_a_sweeps_memory_and_descriptors_do_not_grow(start: Start, tmp_path: Path) -> None:
    cells = size(8, 200)
    grid = ("-m", f"seed=range({cells})", "runtime.jobs=2", "data.source.num_train=20")
    sweep = start(tmp_path, "train", *SMALL, *grid, "steps=1", "kernels=none")
    seen: list[tuple[int, float]] = []
    while sweep.poll() is None:
        has_finished = any(tmp_path.glob("outputs/runs/*/result.json"))
        process = Path(f"/proc/{sweep.pid}")
        try:
            descriptors = len(list((process / "fd").iterdir()))
            pages = int((process / "statm").read_text().split()[1])
        except (OSError, IndexError):  # it has ended
            break
        if has_finished:
            seen.append((descriptors, pages * 4096 / 1e6))
        time.sleep(0.1)
    assert sweep.wait() == 0, sweep.said()
    assert len(found(tmp_path)) == cells
    first = seen[: 1 + len(seen) // 4]
    # A child has a pipe, and as it begins two more ends and a log; a leak grows with the cells.
    for which, most in ((0, cells // 2), (1, GROWTH_MB)):
        before, after = (max(each[which] for each in part) for part in (first, seen))
        assert after - before <= most
        print(f"{cells} cells: {before:.0f} at first, {after:.0f} at the end")
