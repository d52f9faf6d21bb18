"""The learning rate schedule, and parameter groups by weight decay and learning rate factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import nn

from normexp.contracts import ScalesLearningRate

REFERENCE_BATCH_SIZE = 128
WEIGHTED = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
"""What has a weight of two and more dimensions, whatever its shape."""


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to `peak`, then cosine decay to zero."""

    peak: float
    warmup: float  # share of the training in which the learning rate rises

    @classmethod
    def scaled(
        cls, lr: float, warmup: float, images_per_step: int, batch_exponent: float
    ) -> Schedule:
        """Return the schedule with the peak lr · (images_per_step / 128) ^ batch_exponent.

        The exponent 1 is the linear scaling rule: it keeps the noise of SGD alike over batch sizes
        (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
        """
        return cls(lr * (images_per_step / REFERENCE_BATCH_SIZE) ** batch_exponent, warmup)

    def lr(self, progress: float) -> float:
        """Return the learning rate at the share `progress` of the training, in (0, 1]."""
        if progress < self.warmup:
            return self.peak * progress / self.warmup
        return self.peak * 0.5 * (1 + cos(pi * (progress - self.warmup) / (1 - self.warmup)))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group parameters by weight decay and factor of the learning rate (`lr_factor`).

    Weights of two and more dimensions decay; scales, shifts, gates and biases do not, also where
    they are of (1, C, 1, 1). What does not learn is in no group, what two modules share in one.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module in network.modules():
        factors = module.lr_factors if isinstance(module, ScalesLearningRate) else {}
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            is_weight = isinstance(module, WEIGHTED) and name == "weight"
            key = (is_weight or not is_vector(parameter), factors.get(name, 1.0))
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": params, "weight_decay": weight_decay * decays, "lr_factor": factor}
        for (decays, factor), params in groups.items()
    ]


def is_vector(parameter: torch.Tensor) -> bool:
    """Whether one dimension at most has more than one element, as in a scale of (1, C, 1, 1)."""
    return parameter.numel() == max(parameter.shape, default=1)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):  # which a recorded step reads
            group["lr"].fill_(lr * group["lr_factor"])
        else:
            group["lr"] = lr * group["lr_factor"]
