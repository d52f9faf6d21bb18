"""The machine and the versions that a result comes from."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import torch

from normexp import __version__
from normexp.errors import UserError
from normexp.precision import Precision
from normexp.runs.result import Environment


def choose_device(setting: str) -> torch.device:
    """`auto` is the GPU where there is one; raises UserError where `setting` cannot be used.

    On a GPU cuDNN then adds in the same order each time, so that a run has the same bits again.
    """
    if setting == "auto":
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(setting)
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"runtime.device={setting} is not supported; try auto, cpu or cuda")
        if device.type == "cuda":
            # cuBLAS reads it when it is first used (its documentation, "Results reproducibility").
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.deterministic = True
            if device.index is not None:
                torch.cuda.set_device(device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"runtime.device={setting} cannot be used here ({reason}); try auto, cpu or cuda"
        ) from error
    return device


@contextmanager
def like_a_process() -> Iterator[None]:
    """Run what is within as a process of its own would, and leave the caller's torch as it was.

    That is its random numbers, default type and device, modes of gradients, autocast and threads,
    and what `choose_device`, `Precision.choose` and a recorded step set.
    """
    threads, kind = torch.get_num_threads(), torch.get_default_dtype()
    place, gpus, gpu = torch.get_default_device(), [], 0
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gpus, gpu = [*range(torch.cuda.device_count())], torch.cuda.current_device()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    conv = cudnn.conv  # type: ignore[attr-defined]
    flags = [(cudnn, "deterministic"), (conv, "fp32_precision"), (matmul, "fp32_precision")]
    before = [(of, name, getattr(of, name)) for of, name in flags]
    with (
        torch.random.fork_rng(gpus),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        # A `with torch.device(...)` of the caller's is still in force.
        around = torch.get_default_device()
        try:
            with torch.device("cpu") if around.type != "cpu" else nullcontext():
                yield
        finally:
            torch.set_default_dtype(kind)
            torch.set_default_device(None if place == around else place)
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()
                torch.cuda.set_stream(torch.cuda.default_stream())
                torch.cuda.set_device(gpu)
            torch.set_num_threads(threads)
            for of, name, value in before:
                setattr(of, name, value)


def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next, where it is GNU's.

    It would give large blocks back to the system, and each of their pages costs a fault when the
    next step takes it again: 5 to 12 % of a step (scripts/bench train).
    """
    if sys.platform == "win32":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)


def describe(precision: Precision, kernels: str) -> Environment:
    """Return what two runs must share for bit-equal results; `kernels` are `compiled` or `none`."""
    device = precision.device
    is_cuda = device.type == "cuda"
    return Environment(
        normexp=__version__,
        python=platform.python_version(),
        torch=str(torch.__version__),  # a class of its own, which checkpoints cannot hold
        device=torch.cuda.get_device_name(device) if is_cuda else device.type,
        processor=str(torch.cpu.get_capabilities().get("cpu_name", platform.machine())),
        threads=torch.get_num_threads(),
        precision=precision.name,
        kernels=kernels,
        instructions=torch.backends.cpu.get_cpu_capability(),
    )


def differences(then: Environment, now: Environment) -> str:
    """Return what has changed, for people; empty if nothing has."""
    before, after = asdict(then), asdict(now)
    return ", ".join(
        f"{key} {before[key]} → {value}" for key, value in after.items() if before[key] != value
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch use no thread but the calling one; a fork would miss others and wait for them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
