from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from normexp.runs.claim import InProgressError, claimed, revisit
from omegaconf import DictConfig

from normexp.build import run_spec
from normexp.runs.folder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from normexp.runs.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_is_at_work(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(InProgressError, match=f"process {process.pid} on "), claimed(tmp_path):
            pass
        assert (tmp_path / "claim.json").exists()  # the refused one took nothing away
        process.communicate()
    with claimed(tmp_path):
        pass


def test_a_killed_process_s_claim_is_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
    assert (tmp_path / "claim.json").exists()
    with claimed(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / "claim.json").read_text()


def test_what_a_process_killed_at_the_end_of_a_run_leaves_is_removed(
    compose: Callable[..., DictConfig], tmp_path: Path
) -> None:
    spec, _ = run_spec(compose("data=generated"))
    folder = RunFolder(tmp_path / spec.name)
    folder.open(spec, "normexp train")
    folder.finish({"outcome": "finished"})
    whole = {file.name for file in folder.path.iterdir()}
    for name in ("checkpoint.pt", "checkpoint.before.pt", "claim.json", ".run.json.7.tmp"):
        (folder.path / name).touch()
        revisit(folder, spec, "normexp train", None)
        assert {file.name for file in folder.path.iterdir()} == whole


def test_a_finished_run_joins_every_study_that_asks_for_it_at_once(
    compose: Callable[..., DictConfig], tmp_path: Path
) -> None:
    spec, _ = run_spec(compose("data=generated"))
    folder = RunFolder(tmp_path / spec.name)
    folder.open(spec, "normexp train")
    studies = [f"study{i}" for i in range(20)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda study: revisit(folder, spec, "normexp train", study), studies))
    assert sorted(folder.record()["studies"]) == sorted(studies)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]


def test_a_claim_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claimed(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
