"""Files of the user's with the names of modules change nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.typed import SMALL

from normexp.cli import COMMANDS

from .size import IS_FULL

NAMES = (
    *("statistics", "random", "logging", "json", "types", "enum", "ast", "copy", "platform"),
    *("shutil", "signal", "tempfile", "threading", "pickle", "queue", "token", "typing"),
    *("numpy", "torch", "torchvision", "hydra", "omegaconf", "yaml", "tqdm", "scipy", "PIL"),
    *("matplotlib", "tensorboard"),
)
NORM = """
import random, statistics
from factor import FACTOR
from torch import nn


class Half(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) * FACTOR
"""


trains = pytest.mark.skipif(not IS_FULL, reason="processes that import torch take seconds")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder where every one of them says so and ends the process."""
    for name in NAMES:
        text = f"import os\nos.write(2, b'{name}.py was run')\nos._exit(77)\n"
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def normexp(folder: Path, *arguments: str, start: tuple[str, ...] = ()) -> str:
    """Type a command in a new process, as the console script starts it."""
    start = start or ("-P", "-c", "from normexp.cli import main; main()")
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=folder,
        env={**os.environ, "NORMEXP_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_a_file_that_is_named_as_a_module(folder: Path, command: str) -> None:
    assert normexp(folder, command, "--help") != ""


@trains
def test_a_training_does_not_run_them(folder: Path) -> None:
    assert "test accuracy" in normexp(folder, "train", *SMALL, "epochs=1", "kernels=none")


@trains
def test_a_norm_of_ones_own_is_found_beside_them(folder: Path) -> None:
    (folder / "mine.py").write_text(NORM)
    (folder / "factor.py").write_text("FACTOR = 0.5\n")
    own = ("norm=custom", "norm.layer._target_=mine.Half", "epochs=1", "kernels=none")
    assert "test accuracy" in normexp(folder, "train", *SMALL, *own)


def test_python_dash_m_does_not_run_those_that_it_imports_itself(folder: Path) -> None:
    for name in ("types", "enum", "ast", "copy", "tempfile", "typing", "token"):
        (folder / f"{name}.py").unlink()  # Python's own `-m` may import these
    assert normexp(folder, "runs", "--help", start=("-m", "normexp")) != ""
