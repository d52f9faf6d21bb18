"""Faster layers on the CPU, in C++. Without them every network computes the same in torch."""

from __future__ import annotations

import torch

from normexp.kernels import compiled
from normexp.kernels.swap import accelerate

__all__ = ["accelerate", "describe", "missing"]


def describe(device: torch.device) -> str:
    """Return `compiled` where networks on `device` are accelerated, else `none`."""
    return "compiled" if device.type == "cpu" and compiled.library() is not None else "none"


def missing(device: torch.device) -> str:
    """Return what keeps layers from their full speed on `device`, for people; else nothing."""
    if device.type != "cpu" or compiled.library() is not None:
        return ""
    return (
        "norms and convolutions are not at their full speed, for lack of a C++ compiler with "
        "OpenMP; install g++ if you can"
    )
