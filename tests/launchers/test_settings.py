"""What needs no cluster and no training."""

from __future__ import annotations

import pickle
import signal
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from hydra_plugins.normexp_launcher.launcher import (
    LocalLauncher,
    ProcessLauncher,
    RayLauncher,
    SlurmLauncher,
)
from normexp import build
from normexp.commands.composed import composed
from normexp.engine.requeue import requeue
from normexp.errors import Stopped, UserError
from normexp.runs.lock import InProgressError

from .commands import SMALL, SWEEP, said, train

LAUNCHERS = {
    "processes": ProcessLauncher,
    "submitit_slurm": SlurmLauncher,
    "submitit_local": LocalLauncher,
    "ray": RayLauncher,
}


# Where Hydra's own launchers for submitit and Ray are installed too.
@pytest.mark.filterwarnings("ignore:(?s).*schema with the same name")
@pytest.mark.parametrize("name", LAUNCHERS)
def test_each_launcher_is_ours(name: str) -> None:
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        cfg = compose("train", overrides=[f"hydra/launcher={name}"], return_hydra_config=True)
    launcher = LAUNCHERS[name]
    assert cfg.hydra.launcher._target_ == f"{launcher.__module__}.{launcher.__name__}"
    assert isinstance(cfg.hydra.launcher, DictConfig)


def test_a_missing_package_is_told_with_its_remedy(tmp_path: Path) -> None:
    absent = "raise ModuleNotFoundError('absent', name='submitit')"
    (tmp_path / "submitit.py").write_text(absent)
    launch = "hydra/launcher=submitit_slurm"
    assert train(tmp_path, *SWEEP, launch, PYTHONPATH=str(tmp_path)) == 1
    assert said(tmp_path) == (
        f"normexp: {launch}: the package submitit is not installed; pip install submitit\n"
    )
    assert not (tmp_path / "outputs/runs").exists()


def test_a_launcher_without_a_sweep_is_told(tmp_path: Path) -> None:
    launch = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu")
    assert train(tmp_path, *SMALL, "epochs=1", *launch) == 0
    told = said(tmp_path)
    for each in launch:
        assert f"{each} is for a sweep (-m); this is one run, and trains here\n" in told


def test_the_command_that_tunes_a_sweep_has_its_launcher(tmp_path: Path) -> None:
    launch = ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=7")
    assert train(tmp_path, *SWEEP, "optimizer.lr=tuned", *launch) == 1
    assert f"choose one: normexp tune {' '.join(launch)} data=generated " in said(tmp_path)


def test_a_sweep_has_one_folder(tmp_path: Path) -> None:
    assert train(tmp_path, *SWEEP, "runtime.outputs=one,two") == 1
    assert said(tmp_path) == (
        "normexp: runtime.outputs=one,two: the runs of a sweep go into one folder; "
        "nothing was started\n"
    )


def test_batches_of_hydra_do_not_part_a_sweep(tmp_path: Path) -> None:
    few = ("epochs=1", "hydra.sweeper.max_batch_size=1")
    assert train(tmp_path, *SWEEP[:-1], *few, "norm=batch,both") == 0
    assert "2 runs in 2 cells: 2 to do" in said(tmp_path)


@pytest.mark.parametrize(
    "error", [UserError("one"), InProgressError("two"), Stopped(signal.SIGUSR1, "three")], ids=str
)
def test_errors_survive_the_way_from_another_process(error: BaseException) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


# Requeueing, where `scontrol` is a script.


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of what is asked of `scontrol`, which answers what the file `answer` says."""
    script = f"#!/bin/sh\necho $@ >> {tmp_path}/calls\ncat {tmp_path}/answer\n"
    (tmp_path / "scontrol").write_text(script)
    (tmp_path / "scontrol").chmod(0o755)
    (tmp_path / "answer").write_text("JobId=7 JobName=normexp\n   JobState=RUNNING Reason=None")
    (tmp_path / "calls").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path / "calls"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_job_is_requeued(scontrol: Path, number: signal.Signals) -> None:
    assert requeue(number) == "SLURM job 7 is requeued"
    assert scontrol.read_text() == "show job 7\nrequeue 7\n"


def test_a_task_of_an_array_is_requeued_alone(
    scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert requeue(signal.SIGUSR1) == "SLURM job 5_2 is requeued"
    assert "requeue 5_2\n" in scontrol.read_text()


def test_nothing_is_requeued_outside_slurm(scontrol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    assert requeue(signal.SIGUSR1) is None
    assert scontrol.read_text() == ""


def test_what_a_person_stops_is_not_requeued(scontrol: Path) -> None:
    assert requeue(signal.SIGINT) is None
    # After scancel, whose signal is SIGTERM.
    (scontrol.parent / "answer").write_text("JobState=COMPLETING Reason=None")
    assert requeue(signal.SIGTERM) is None
    assert "requeue" not in scontrol.read_text()


def test_a_refusal_to_requeue_is_told(scontrol: Path) -> None:
    (scontrol.parent / "scontrol").write_text("#!/bin/sh\necho disabled >&2; exit 1\n")
    assert requeue(signal.SIGUSR1) == "SLURM job 7 could not be requeued (disabled)"
    (scontrol.parent / "scontrol").unlink()
    assert "could not be requeued" in str(requeue(signal.SIGUSR1))


def test_a_command_that_slurm_stops_requeues_and_says_so(
    scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task(cfg: DictConfig) -> None:
        raise Stopped(signal.SIGUSR1, "stopped after step 3")

    where = f"runtime.outputs={scontrol.parent}/outputs"
    monkeypatch.setattr(sys, "argv", ["normexp train", where])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Stopped, match="stopped after step 3; SLURM job 7 is requeued") as stopped:
        composed("train")(task)()
    assert stopped.value.signal_number == signal.SIGUSR1
    assert "\nrequeue 7\n" in scontrol.read_text()
