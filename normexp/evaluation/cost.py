"""Multiply-adds of a network, and the time and memory of a training step."""

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def multiply_adds(network: nn.Module, image: Tensor) -> int:
    """Return the multiply-adds of convolutions and linear layers for one `image` (1, 3, H, W)."""
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output.numel() * layer.weight[0].numel()  # the weights of one output

    handles = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        network.eval()(image)
    finally:
        for handle in handles:
            handle.remove()
    return total


def step_cost(step: Callable[[], None], steps: int, device: torch.device) -> dict[str, Any]:
    """Return the median time of a training step, and its peak memory.

    `peak_memory` in bytes, on top of what was held before: on CUDA of the allocator, on Linux of
    the process in the first step, as later ones reuse freed memory; None where neither is known.
    """
    measure = _cuda_peak(device) if device.type == "cuda" else _process_growth()
    seconds = [_timed(step, device)]
    peak = measure()
    seconds += [_timed(step, device) for _ in range(steps - 1)]
    return {"step_seconds": median(seconds), "peak_memory": peak}


def _timed(step: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cuda_peak(device: torch.device) -> Callable[[], int | None]:
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    return lambda: torch.cuda.max_memory_allocated(device) - before


def _process_growth() -> Callable[[], int | None]:
    with suppress(AttributeError, OSError, TypeError):  # without GNU's C library
        ctypes.CDLL(None).malloc_trim(0)  # or the step would use memory that is held already
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (proc(5))
        before = _status("VmRSS")
    except (OSError, KeyError):
        return lambda: None
    return lambda: max(0, _status("VmHWM") - before)


def _status(key: str) -> int:
    """Return a size of this process in bytes, from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[key].split()[0]) * 1024
