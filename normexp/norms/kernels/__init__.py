"""C++ for norms on the CPU, compiled where it runs at its first use and kept."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("mixed_norm.cpp")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")

_size, _pointer, _int, _float = ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_float
SHAPE = (_int, _int, _size, _size, _size, _size)
ARGUMENTS = {
    "mixed_norm_forward": (*SHAPE, *[_pointer] * 6, _float, _pointer, _int),
    "mixed_norm_backward": (*SHAPE, *[_pointer] * 6, _int, *[_pointer] * 4, _int),
}


@cache
def library() -> ctypes.CDLL | None:
    """Return the functions of `SOURCE`, or None where they cannot be made.

    They need a C++ compiler with OpenMP, and a folder to keep them in, that of the images'
    cache. They share the threads of torch, whose OpenMP library has the name that they ask for.
    """
    compiler = shutil.which("c++") or shutil.which("g++")
    processor = sorted(torch.cpu.get_capabilities().items())
    recipe = repr((SOURCE.read_text(), FLAGS, processor))
    folder = Path(os.environ.get("NORMEXP_CACHE", "~/.cache/normexp")).expanduser()
    built = folder / f"kernels-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.so"
    try:
        if not built.exists():
            if compiler is None:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            _compile(compiler, built)
        functions = ctypes.CDLL(str(built))
    except (OSError, subprocess.SubprocessError):
        return None
    for name, arguments in ARGUMENTS.items():
        function = getattr(functions, name)
        function.argtypes, function.restype = arguments, None
    return functions


def _compile(compiler: str, built: Path) -> None:
    """Compile beside and rename, so that runs that start together see all of it or nothing."""
    beside = built.with_suffix(f".{os.getpid()}.tmp")
    try:
        command = [compiler, *FLAGS, "-o", str(beside), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        beside.replace(built)
    finally:
        beside.unlink(missing_ok=True)
