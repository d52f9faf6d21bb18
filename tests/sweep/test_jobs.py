"""Jobs of a cluster that is not heard of any more."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from normexp.sweep import jobs
from normexp.sweep.jobs import Jobs
from normexp.sweep.plan import Plan
from normexp.sweep.pool import Task


class Silent(Jobs):
    """Takes any job, and never says that one has ended."""

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, name: str, task: Task, log: Path) -> None:
        pass

    def end(self, name: str) -> None:
        return None

    def cancel(self) -> None:
        pass


@pytest.mark.parametrize(("grace", "number"), [(0.0, 1), (1000.0, 0)])
def test_a_job_that_is_asked_to_end_is_waited_for_so_long(
    grace: float, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GRACE_SECONDS", grace)
    silent = Silent(Plan(({},), None))
    silent.start("seed=0", Task("train", {}), tmp_path / "log")
    assert silent.ended() == []
    silent.stop()
    words = "normexp: asked to end, and not heard of since"
    assert silent.ended() == [("seed=0", 128 + signal.SIGTERM, words)] * number
