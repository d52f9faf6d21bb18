"""Faster layers on the CPU, in C++. Without them every network computes the same in torch."""

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
    return f"norm layers are not at their full speed: {compiled.problem()}"
