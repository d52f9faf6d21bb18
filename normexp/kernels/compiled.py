"""The C++ functions, compiled for the processor where they first run, and kept."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")


@cache
def library() -> ctypes.CDLL | None:
    """Return the functions of `SOURCES`, or None where they cannot be made.

    They need a C++ compiler with OpenMP, and a folder to keep them in, that of the images'
    cache. They share the threads of torch, whose OpenMP library has the name that they ask for.
    """
    compiler = shutil.which("c++") or shutil.which("g++")
    processor = sorted(torch.cpu.get_capabilities().items())
    texts = [file.read_text() for file in (*SOURCES, *HEADERS)]
    recipe = repr((texts, FLAGS, processor))
    folder = Path(os.environ.get("NORMEXP_CACHE", "~/.cache/normexp")).expanduser()
    built = folder / f"kernels-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.so"
    try:
        if not built.exists():
            if compiler is None:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            _compile(compiler, built)
        return ctypes.CDLL(str(built))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(compiler: str, built: Path) -> None:
    """Compile beside and rename, so that runs that start together see all of it or nothing."""
    beside = built.with_suffix(f".{os.getpid()}.tmp")
    try:
        command = [compiler, *FLAGS, "-o", str(beside), *map(str, SOURCES)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        beside.replace(built)
    finally:
        beside.unlink(missing_ok=True)
