"""Several processes on one sweep: each cell is trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import SMALL, Start, found, left_over
from .size import IS_FULL


@pytest.mark.skipif(not IS_FULL, reason="tests/sweep and tests/runs/test_lock.py have small ones")
def test_sweeps_started_at_once_train_each_cell_once(start: Start, tmp_path: Path) -> None:
    num_sweeps, num_cells = 4, 12
    seeds = ",".join(str(seed) for seed in range(num_cells // 2))
    grid = ("norm=batch,both", f"seed={seeds}", "-m")
    commands = [start(tmp_path, "train", *SMALL, *grid) for _ in range(num_sweeps)]
    codes = [command.wait(600) for command in commands]
    said = commands[0].said()
    assert set(codes) <= {0, 1}, said  # 1 where others were still at work on some cells
    assert codes.count(1) == said.count("runs in progress elsewhere")
    assert 0 in codes
    assert "Traceback" not in said
    assert len(found(tmp_path)) == num_cells
    logs = [log.read_text() for log in tmp_path.glob("outputs/runs/*/train.log")]
    assert [log.count("epoch 1:") for log in logs] == [1] * num_cells
    assert left_over(tmp_path) == []
    waited = said.count("is in progress")
    print(f"{num_sweeps} sweeps, {num_cells} cells; left to another process: {waited}")
