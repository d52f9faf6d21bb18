"""`normexp …` as it is typed, without the seconds that a new process takes."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra

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


SHARED = Path(os.environ.get("NORMEXP_CACHE", "~/.cache/normexp")).expanduser()
OWN = tempfile.TemporaryDirectory(prefix="normexp-cache-")


def normexp(folder: Path, *arguments: str) -> Answer:
    """Type `normexp <arguments>` in `folder`."""
    out, err = io.StringIO(), io.StringIO()
    link_kernels(Path(OWN.name))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        patch.setattr(sys, "path", [*sys.path])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.setenv("NORMEXP_CACHE", OWN.name)
        if arguments[:1] == ("train",) and not any("hydra.mode" in each for each in arguments):
            # Hydra composes all settings once more for what only the flags say, or hydra.mode.
            patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = run(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
    keep_kernels(Path(OWN.name))
    return Answer(code, out.getvalue(), err.getvalue())


KERNELS = "kernels-of-*/kernels-*.so"


def link_kernels(cache: Path) -> None:
    """Let `cache` have the kernels that are compiled already: compiling takes half a minute."""
    copy_new(SHARED, cache)


def keep_kernels(cache: Path) -> None:
    """Keep kernels that were compiled for the first time."""
    copy_new(cache, SHARED)


def copy_new(source: Path, target: Path) -> None:
    for compiled in source.glob(KERNELS):
        file = target / compiled.relative_to(source)
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(compiled, beside := file.with_name(f".{file.name}.{os.getpid()}"))
            beside.replace(file)


def write_module(folder: Path, patch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """Write a module of the user's own, and forget one of that name that was imported before."""
    (folder / f"{name}.py").write_text(text)
    patch.delitem(sys.modules, name, raising=False)
