"""Batch norm and instance norm, mixed by a learned gate for each channel.

Nam and Kim, "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks",
NeurIPS 2018.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.norms.batch_instance import BatchInstanceNorm


class GatedNorm(BatchInstanceNorm):
    """y = weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias, the gate in [0, 1] for each channel.

    The gate starts at 1, all batch norm, learns ten times as fast as the weights, and is put
    back into [0, 1] after each optimizer step. `x` (N, C, H, W) comes back in the same shape and
    type. Raises ValueError at 1×1 maps, where instance norm is not defined.
    """

    lr_factors: ClassVar[Mapping[str, float]] = {"gate": 10.0}  # the paper's

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.gate = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(x, self.gate)

    def after_step(self, progress: float) -> None:  # noqa: ARG002 (the contract's)
        with torch.no_grad():
            self.gate.clamp_(0, 1)

    def readings(self) -> Mapping[str, Tensor]:
        """`gate`: its mean over the channels; 1 is all batch norm, 0 all instance norm."""
        return {"gate": self.gate.detach().mean()}
