"""A SLURM job that has to stop goes back into the queue, and goes on from its checkpoint there."""

import os
import re
import signal
import subprocess

# What `scontrol show job` reports of a job that is cancelled or out of time. One that will be
# preempted after its grace time is still RUNNING.
ENDING = re.compile(r"JobState=(COMPLETING|CANCELLED|TIMEOUT|COMPLETED|FAILED)")
PATIENCE_SECONDS = 20.0


def requeue(signal_number: int) -> str | None:
    """Put the SLURM job that was sent this signal back into the queue, and return a line on it.

    None where nothing was done: a person's Ctrl-C and `scancel` end the job for good.
    """
    job = _job()
    if job is None or signal_number == signal.SIGINT or is_ending():
        return None
    try:
        _scontrol("requeue", job)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        return f"SLURM job {job} could not be requeued ({reason})"
    return f"SLURM job {job} is requeued"


def is_ending() -> bool:
    job = _job()
    try:
        return job is not None and bool(ENDING.search(_scontrol("show", "job", job)))
    except (OSError, subprocess.SubprocessError):
        return False


def _job() -> str | None:
    job = os.environ.get("SLURM_JOB_ID")
    if job is not None and (array := os.environ.get("SLURM_ARRAY_JOB_ID")):
        # One task of an array has the number of the array, which would requeue all of it.
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return job


def _scontrol(*arguments: str) -> str:
    return subprocess.run(
        ["scontrol", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    ).stdout
