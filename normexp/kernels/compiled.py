"""The C++ functions, compiled for the processor where they first run, and kept in a file.

A library that is loaded can do what its user can. The file therefore lies in a folder that only the
user can write, and its checksum is compared before it is loaded: a file that is cut short would end
the process by SIGBUS.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from normexp.runs.files import DamagedFileError, read_sealed, remove_unfinished, write_sealed

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")
FUNCTIONS = ("norm_forward", "norm_backward", "max_pool_forward", "max_pool_backward")
"""What the library has on every processor."""
COMPILER_SECONDS = 600
"""20 s on an idle core; several runs that start together compile side by side."""
OF_PROCESSOR = (
    *("vendor_id", "cpu family", "model", "model name", "flags"),  # of x86
    *("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part"),  # of ARM
)
"""Lines of /proc/cpuinfo that tell one kind of processor from another."""


class NoKernelsError(Exception):
    """The functions cannot be had; the message says why, and what to do."""


def library() -> ctypes.CDLL | None:
    """Return the functions of `SOURCES`, or None where they cannot be had.

    They need a C++ compiler with OpenMP, and a folder to keep them in, below that of the images'
    cache. They share the threads of torch, whose OpenMP library has the name that they ask for.
    """
    return found()[0]


def problem() -> str:
    """Return why there is no `library`, or nothing where there is one."""
    return found()[1]


@cache
def found() -> tuple[ctypes.CDLL | None, str]:
    """Return the library and why there is none, once for this process."""
    try:
        file = _folder() / f"kernels-{_recipe()}.so"
        if not _is_whole(file):
            _compile(file)
        return ctypes.CDLL(str(file)), ""
    except NoKernelsError as error:
        return None, str(error)
    except OSError as error:
        place = (
            f": {error.filename}; NORMEXP_CACHE=<folder> names another" if error.filename else ""
        )
        return None, f"{error.strerror or error}{place}"


def _folder() -> Path:
    """Return the folder of this user's libraries, where nobody else can put one."""
    try:
        above = Path(os.environ.get("NORMEXP_CACHE", "~/.cache/normexp")).expanduser()
    except RuntimeError as error:
        raise NoKernelsError(f"{error}; NORMEXP_CACHE=<folder> names one") from error
    folder = above / ("kernels" if sys.platform == "win32" else f"kernels-of-{os.getuid()}")
    above.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if fault := _fault(folder, stat.S_ISDIR):
        raise NoKernelsError(f"nothing is loaded from {folder}, as it {fault}; remove it")
    return folder


def _fault(path: Path, is_kind: Callable[[int], bool]) -> str:
    """Return how another user may have put or changed what is at `path`, or nothing."""
    found = path.lstat()
    if not is_kind(found.st_mode):
        return "is of another kind"
    if sys.platform == "win32":
        return ""
    if found.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    others = stat.S_IWGRP | stat.S_IWOTH
    return "can be written by other users" if found.st_mode & others else ""


def _recipe() -> str:
    """Return a digest of all that the compiled functions depend on."""
    texts = [file.read_text(encoding="utf-8") for file in (*SOURCES, *HEADERS)]
    recipe = repr((texts, FLAGS, processor()))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def processor() -> list[object]:
    """Return what `-march=native` sees: machines of two kinds may share a home."""
    known: list[object] = [platform.machine(), sorted(torch.cpu.get_capabilities().items())]
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if not line.strip():  # behind it stands the next core
                break
            if line.partition(":")[0].strip() in OF_PROCESSOR:
                known.append(line.split())
    return known


def _is_whole(file: Path) -> bool:
    """Whether `file` is as it was written, by this user, and has all functions."""
    try:
        if _fault(file, stat.S_ISREG):
            return False
        content = read_sealed(file)
    except (FileNotFoundError, DamagedFileError):
        return False
    return all(name.encode() in content for name in FUNCTIONS)


def _compile(file: Path) -> None:
    """Compile beside and rename, so that runs that start together see all of it or nothing."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise NoKernelsError("there is no C++ compiler; install g++ if you can")
    remove_unfinished(file.parent, "*.so")
    beside = file.with_name(f".{file.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        command = [compiler, *FLAGS, "-o", str(beside), *map(str, SOURCES)]
        subprocess.run(command, check=True, capture_output=True, timeout=COMPILER_SECONDS)
        write_sealed(file, beside.read_bytes())
        file.chmod(0o600)
    except subprocess.CalledProcessError as error:
        raise NoKernelsError(f"{compiler}: {_first_error(error)}") from error
    except subprocess.TimeoutExpired as error:
        raise NoKernelsError(
            f"{compiler} took more than {COMPILER_SECONDS} s; start again when the machine is idle"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _first_error(error: subprocess.CalledProcessError) -> str:
    """Return the line of a compiler that says what is wrong."""
    said: bytes = error.stderr or error.stdout or b""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    of_error = [line for line in lines if "error" in line.lower()]
    return (of_error or lines or [f"exit code {error.returncode}"])[0]
