"""`normexp train` as a process, and what its runs leave on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from helpers import waiting

SMALL = (
    "data=generated",
    "data.source.num_train=100",
    "data.source.num_test=20",
    "model.network.widths=[8,8,8,8,8,8]",
    "batch_size=8",
    "epochs=2",
    "precision=fp32",
    "runtime.device=cpu",
    "runtime.checkpoint_seconds=0.1",
)
"""90 training images, 11 steps an epoch."""
SWEEP = ("-m", *SMALL, "norm=batch,both")
LONG = ("-m", *SMALL, "norm=batch,both", "epochs=40")
PATIENCE_SECONDS = 200.0
wait_until = partial(waiting.wait_until, seconds=PATIENCE_SECONDS)

Findings = dict[str, tuple[dict[str, Any], bytes]]
"""By the name of a run: its result but for what varies, and the bytes of its weights."""


def start(where: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start `normexp train` in a folder, where all that it says goes into the file `said`."""
    where.mkdir(parents=True, exist_ok=True)
    with (where / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "normexp", "train", *arguments],
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "NORMEXP_CACHE": str(where / "cache"), **environment},
        )


def train(where: Path, *arguments: str, **environment: str) -> int:
    """Return the exit code of `normexp train`."""
    return start(where, *arguments, **environment).wait(PATIENCE_SECONDS)


def said(where: Path) -> str:
    return (where / "said").read_text()


def found(where: Path) -> Findings:
    """What the finished runs below `where` have found."""
    findings = {}
    for file in sorted(where.glob("outputs/runs/*/result.json")):
        result = json.loads(file.read_text())
        del result["timing"], result["checksum"]
        findings[file.parent.name] = (result, (file.parent / "weights.pt").read_bytes())
    return findings


def resumed(where: Path) -> int:
    """How many of the runs below `where` have gone on from a checkpoint."""
    logs = where.glob("outputs/runs/*/train.log")
    return sum("going on after step" in log.read_text() for log in logs)


def processes(word: str, where: Path) -> list[int]:
    """The processes in a folder that have a word in their command."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if word in command and (folder / "cwd").readlink() == where.resolve():
                pids.append(int(folder.name))
    return pids


def under_way(where: Path, number: int) -> bool:
    """Whether so many runs below `where` have a checkpoint."""
    return len(list(where.glob("outputs/runs/*/checkpoint.pt"))) >= number
