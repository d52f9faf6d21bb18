"""C++ for layers on the CPU, compiled where it runs at its first use and kept."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")

_size, _pointer, _int, _float = ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_float
SHAPE = (_size, _size, _size, _size)
ARGUMENTS = {
    "mixed_norm_forward": (_int, _int, *SHAPE, *[_pointer] * 7, _float, _pointer, _int),
    "mixed_norm_backward": (_int, _int, *SHAPE, *[_pointer] * 8, _int, *[_pointer] * 4, _int),
    "max_pool_forward": (_int, *SHAPE, *[_pointer] * 3, _int),
    "max_pool_backward": (_int, *SHAPE, *[_pointer] * 3, _int),
    "winograd_filters": (_size, _size, _pointer, _int, _pointer),
    "winograd_forward": (*SHAPE, _size, *[_pointer] * 4, _int),
    "winograd_filter_gradient": (*SHAPE, _size, *[_pointer] * 4, _int),
}
LANES = 16
"""The kernels take channels in vectors of so many."""
WORTH_A_THREAD = 16_384
"""Elements below which a further thread costs more than it brings."""
WORTH_WINOGRAD = 1024
"""Pairs of channels below which torch's convolution is as fast (16 and 16: 1.4 times as fast)."""


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
        functions = ctypes.CDLL(str(built))
    except (OSError, subprocess.SubprocessError):
        return None
    for name, arguments in ARGUMENTS.items():
        if hasattr(functions, name):
            function = getattr(functions, name)
            function.argtypes, function.restype = arguments, None
    return functions


def _compile(compiler: str, built: Path) -> None:
    """Compile beside and rename, so that runs that start together see all of it or nothing."""
    beside = built.with_suffix(f".{os.getpid()}.tmp")
    try:
        command = [compiler, *FLAGS, "-o", str(beside), *map(str, SOURCES)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        beside.replace(built)
    finally:
        beside.unlink(missing_ok=True)


def fits(x: Tensor) -> bool:
    """Whether the kernels for norms and pooling can be called with images `x`."""
    return (
        _is_laid_out(x)
        and x.dtype in (torch.bfloat16, torch.float32)
        and x.shape[1] % LANES == 0
        and library() is not None
    )


def fits_winograd(x: Tensor, num_out: int) -> bool:
    """Whether the convolution of images `x` to `num_out` channels has a kernel here."""
    return (
        _is_laid_out(x)
        and x.dtype == torch.bfloat16
        and x.shape[1] % (LANES if x.requires_grad else 2) == 0
        and num_out % LANES == 0
        and x.shape[1] * num_out >= WORTH_WINOGRAD
        and hasattr(library(), "winograd_forward")
    )


def _is_laid_out(x: Tensor) -> bool:
    """Whether images `x`, of which there are some, lie as every kernel takes them."""
    return (
        x.device.type == "cpu"
        and x.dim() == 4
        and len(x) > 0
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def functions() -> ctypes.CDLL:
    """Return what `library` does, for images that fit."""
    found = library()
    assert found is not None
    return found


def threads_for(x: Tensor) -> int:
    """Return how many threads are worth their cost on images `x`."""
    return max(1, min(torch.get_num_threads(), x.numel() // WORTH_A_THREAD))


def at(tensor: Tensor | None) -> int | None:
    """Return where a tensor's numbers lie, as a kernel takes it; None is a null pointer."""
    return None if tensor is None else tensor.data_ptr()
