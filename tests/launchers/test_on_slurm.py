"""Jobs of a SLURM cluster, whose commands are played by scripts here."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from .commands import (
    LONG,
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

SCONTROL = """#!/bin/sh
echo "$@" >> {folder}/calls
"""
# Starts the tasks of an array in the background, as the cluster's machines would.
SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
script = Path(sys.argv[1]).read_text()
Path("{folder}/script").write_text(script)
last = int(re.search(r"--array=0-(\\d+)", script)[1])
for task in range(last + 1):
    slurm = dict(JOB_ID=str(7 + task), ARRAY_JOB_ID="7", ARRAY_TASK_ID=str(task), PROCID="0",
                 NTASKS="1", JOB_NUM_NODES="1", NODEID="0", LOCALID="0")
    subprocess.Popen(["bash", sys.argv[1]], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                     env=dict(os.environ) | {{f"SLURM_{{key}}": slurm[key] for key in slurm}})
print("Submitted batch job 7")
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do
  [[ $1 == *=* || $1 == --unbuffered ]] || shift
  shift
done
exec "$@" > {folder}/task-$SLURM_ARRAY_TASK_ID 2>&1
"""
SACCT = """#!/bin/sh
echo "JobID|State|NodeList"
"""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with SLURM's commands, which note in `calls` what is asked."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in {
        "scontrol": SCONTROL,
        "sbatch": SBATCH,
        "srun": SRUN,
        "sacct": SACCT,
    }.items():
        (folder / name).write_text(script.format(folder=folder, python=sys.executable))
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def calls(where: Path) -> list[str]:
    return (where / "slurm/calls").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=lambda n: n.name)
def test_a_run_in_a_batch_script_is_requeued(
    slurm: dict[str, str], long_sweep: Findings, tmp_path: Path, number: signal.Signals
) -> None:
    run = [*(each for each in LONG if each not in ("-m", "norm=batch,both")), "runtime.threads=1"]
    process = start(tmp_path, *run, SLURM_JOB_ID="7", **slurm)
    wait_until(lambda: under_way(tmp_path, 1))
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert (
        said(tmp_path)
        .splitlines()[-1]
        .endswith("; SLURM job 7 is requeued; the same command goes on from there")
    )
    assert calls(tmp_path) == ["show job 7", "requeue 7"]
    assert train(tmp_path, *run) == 0
    assert resumed(tmp_path) == 1
    assert found(tmp_path).items() <= long_sweep.items()


def test_a_sweep_in_a_batch_script_is_requeued_once(
    slurm: dict[str, str], long_sweep: Findings, tmp_path: Path
) -> None:
    sweep = [*LONG, "runtime.threads=1", "runtime.jobs=2"]
    process = start(tmp_path, *sweep, SLURM_JOB_ID="7", **slurm)
    wait_until(lambda: under_way(tmp_path, 2))
    # SLURM signals all processes of a job.
    for pid in [*processes("normexp child", tmp_path), process.pid]:
        os.kill(pid, signal.SIGUSR1)
    assert process.wait(60) == 128 + signal.SIGUSR1
    assert calls(tmp_path) == ["show job 7", "requeue 7"]
    assert train(tmp_path, *sweep) == 0
    assert resumed(tmp_path) == 2
    assert found(tmp_path) == long_sweep


def test_a_sweep_is_an_array_of_jobs(
    slurm: dict[str, str], whole_sweep: Findings, tmp_path: Path
) -> None:
    pytest.importorskip("submitit", reason="needs submitit")
    settings = ("hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1")
    launcher = "hydra/launcher=submitit_slurm"
    assert train(tmp_path, *SWEEP, launcher, *settings, **slurm) == 0, said(tmp_path)
    assert found(tmp_path) == whole_sweep
    asked = (tmp_path / "slurm/script").read_text()
    for option in (
        *("array=0-1%2", "cpus-per-task=1", "gpus-per-node=1", "partition=gpu"),
        *("time=240", "signal=USR2@120", "job-name=normexp", "requeue"),
    ):
        assert f"#SBATCH --{option}\n" in asked


def test_a_preempted_job_of_an_array_is_requeued_by_its_number(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("submitit", reason="needs submitit")
    sweep = start(tmp_path, *LONG, "hydra/launcher=submitit_slurm", **slurm)
    wait_until(lambda: under_way(tmp_path, 2))
    for pid in processes("normexp child", tmp_path):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not processes("submitit.core._submit", tmp_path))
    sweep.kill()
    sweep.wait()
    assert [call for call in sorted(calls(tmp_path)) if call.startswith("requeue")] == [
        "requeue 7_0",
        "requeue 7_1",
    ]
    assert under_way(tmp_path, 2)
