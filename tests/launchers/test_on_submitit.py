"""Sweeps by submitit, on its executor for one machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .commands import (
    LONG,
    SMALL,
    SWEEP,
    Findings,
    found,
    processes,
    resumed,
    said,
    start,
    train,
    under_way,
    wait_until,
)

pytest.importorskip("submitit", reason="needs submitit")

LOCAL = "hydra/launcher=submitit_local"
BREAKING = """
import os, signal
from torch import nn

class Breaks(nn.BatchNorm2d):
    def forward(self, x):
        if self.training and len(x) == 9:
            raise ZeroDivisionError("broken on purpose")
        return super().forward(x)

class Dies(nn.BatchNorm2d):
    def forward(self, x):
        if self.training and len(x) == 9:
            os.kill(os.getppid(), signal.SIGKILL)  # the job's own process
        return super().forward(x)
"""


def test_jobs_find_bit_for_bit_what_processes_find(whole_sweep: Findings, tmp_path: Path) -> None:
    assert train(tmp_path, *SWEEP, LOCAL) == 0, said(tmp_path)
    assert found(tmp_path) == whole_sweep
    jobs = list(tmp_path.glob("outputs/.submitit/*_submitted.pkl"))
    assert len(jobs) == 2
    # Typed again, it starts no job.
    assert train(tmp_path, *SWEEP, LOCAL) == 0
    assert "2 runs in 2 cells: 2 finished" in said(tmp_path)
    assert list(tmp_path.glob("outputs/.submitit/*_submitted.pkl")) == jobs


def test_a_failing_cell_and_a_dying_job_stop_no_other_and_are_told_in_a_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    layers = "norm.layer._target_=breaking.Breaks,breaking.Dies,torch.nn.BatchNorm2d"
    small = [each for each in SMALL if not each.startswith("batch_size")]
    assert train(tmp_path, "-m", *small, "batch_size=9", "norm=custom", layers, LOCAL) == 1
    told = said(tmp_path)
    assert len(found(tmp_path)) == 1
    assert "breaking.Breaks: failed: breaking.py:8: ZeroDivisionError: broken on purpose\n" in told
    assert "breaking.Dies: failed: job " in told
    assert "normexp: 2 of 3 runs failed; the same command tries again\n" in told
    assert "Traceback" not in told
    assert len(list(tmp_path.glob("outputs/runs/*/failure.json"))) == 2


@pytest.mark.parametrize(
    ("number", "whose"),
    [(signal.SIGUSR2, "submitit.core._submit"), (signal.SIGTERM, "normexp child")],
    ids=["as-time-is-up", "as-preempted"],
)
def test_a_job_that_is_told_to_stop_is_requeued_and_finishes_bit_for_bit(
    long_sweep: Findings, tmp_path: Path, number: signal.Signals, whose: str
) -> None:
    sweep = start(tmp_path, *LONG, LOCAL)
    wait_until(lambda: under_way(tmp_path, 2))
    for pid in processes(whose, tmp_path):
        os.kill(pid, number)
    assert sweep.wait(200) == 0, said(tmp_path)
    logs = [log.read_text() for log in tmp_path.glob("outputs/.submitit/*_log.*")]
    assert sum("Requeued job" in log for log in logs) == 2
    assert resumed(tmp_path) == 2
    assert found(tmp_path) == long_sweep


def test_an_interrupt_of_the_sweep_stops_its_jobs_with_checkpoints(tmp_path: Path) -> None:
    sweep = start(tmp_path, *LONG, LOCAL)
    wait_until(lambda: under_way(tmp_path, 2))
    sweep.send_signal(signal.SIGINT)
    assert sweep.wait(60) == 128 + signal.SIGINT
    assert "stopped with 0 of 2 runs finished" in said(tmp_path)
    wait_until(lambda: not processes("normexp child", tmp_path))
    assert under_way(tmp_path, 2)
