"""`normexp …` as it is typed, without the seconds that a new process takes."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from normexp.cli import run

SMALL = (
    "data=generated",
    "data.source.num_train=200",
    "data.source.num_test=50",
    "data.limit=40",
    "model.network.widths=[8,8,8,8,8,8]",
    "batch_size=9",
    "epochs=2",
    "precision=fp32",
    "runtime.threads=1",
)
"""36 training images, 4 steps an epoch."""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def normexp(folder: Path, *arguments: str) -> Answer:
    """Type `normexp <arguments>` in `folder`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        patch.setattr(sys, "path", [*sys.path])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.setenv("NORMEXP_CACHE", str(folder / "cache"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = run(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())
