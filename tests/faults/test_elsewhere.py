"""Without fcntl, os.fork and a compiler, as on Windows: a run, a sweep and a report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.typed import SMALL

from .size import IS_FULL

HIDE = """
import os, shutil, sys
sys.modules["fcntl"] = None
for name in ("fork", "forkpty", "sched_getaffinity", "sysconf"):
    delattr(os, name)
which = shutil.which
shutil.which = lambda name, *rest: None if name in ("c++", "g++") else which(name, *rest)
"""
pytestmark = pytest.mark.skipif(not IS_FULL, reason="processes that import torch take seconds")


def typed(where: Path, *arguments: str) -> str:
    (where / "hidden").mkdir(exist_ok=True)
    (where / "hidden/sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join([str(where / "hidden"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from normexp.cli import main; main()", *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": path, "NORMEXP_CACHE": str(where / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_run_a_sweep_and_a_report_work(tmp_path: Path) -> None:
    tiny = ("train", *SMALL, "epochs=1", "study=here")
    assert "there is no C++ compiler" in typed(tmp_path, *tiny)
    assert "2 runs in 1 cell" in typed(tmp_path, *tiny, "-m", "norm=instance", "seed=0,1")
    assert len(list(tmp_path.glob("outputs/runs/*/result.json"))) == 3
    assert "3 runs" in typed(tmp_path, "report", "study=here")
    assert not list(tmp_path.glob("outputs/runs/*/*lock*"))
