from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.results import result

from normexp.runs.folder import RunFolder
from normexp.runs.lock import LOCK_FILE, InProgressError, locked, revisit
from normexp.runs.spec import RunSpec

HOLD = """
import sys, time
from pathlib import Path
from normexp.runs.lock import locked
with locked(Path(sys.argv[1])):
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


def test_a_second_process_learns_who_is_at_work(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(InProgressError, match=f"process {process.pid} on "), locked(tmp_path):
            pass
        assert (tmp_path / LOCK_FILE).exists()  # the refused one took nothing away
        process.communicate()
    with locked(tmp_path):
        pass


def test_a_killed_process_s_lock_is_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
    assert (tmp_path / LOCK_FILE).exists()
    with locked(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / LOCK_FILE).read_text()


def test_what_a_process_killed_at_the_end_of_a_run_leaves_is_removed(
    spec_of: Callable[..., RunSpec], tmp_path: Path
) -> None:
    spec = spec_of("data=generated")
    folder = RunFolder(tmp_path / spec.name)
    folder.open(spec, "normexp train", None)
    folder.finish(result())
    whole = {file.name for file in folder.path.iterdir()}
    for name in ("checkpoint.pt", "checkpoint.before.pt", LOCK_FILE, ".run.json.7.tmp"):
        (folder.path / name).touch()
        revisit(folder, spec, "normexp train", None)
        assert {file.name for file in folder.path.iterdir()} == whole


def test_a_finished_run_joins_every_study_that_asks_for_it_at_once(
    spec_of: Callable[..., RunSpec], tmp_path: Path
) -> None:
    spec = spec_of("data=generated")
    folder = RunFolder(tmp_path / spec.name)
    folder.open(spec, "normexp train", None)
    studies = [f"study{i}" for i in range(20)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda study: revisit(folder, spec, "normexp train", study), studies))
    assert sorted(folder.record().studies) == sorted(studies)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]


def test_a_lock_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
