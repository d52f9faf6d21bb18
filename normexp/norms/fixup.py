"""Fixup: no norm; a residual network that trains because of its first weights.

Zhang, Dauphin and Ma, "Fixup Initialization: Residual Learning Without Normalization", ICLR 2019:

1. the last convolution of each residual branch and the classification layer start at 0;
2. the other convolutions of a branch start at L^(−1/(2m−2)) of their size, L being the number of
   branches and m the number of the branch's convolutions;
3. a scalar scale in each branch, and a scalar bias before each convolution, linear layer and
   activation, all of which learn at a tenth of the learning rate.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.contracts import Place
from normexp.norms.residual import residual_branches
from normexp.norms.wide import widened

LR_FACTOR = 0.1  # the paper's, of scales and biases


class FixupBias(nn.Module):
    """y = x + bias, a scalar from 0 on; `x` (N, C, H, W) comes back in the same shape and type."""

    lr_factors: ClassVar[Mapping[str, float]] = {"bias": LR_FACTOR}

    def __init__(self, num_features: int) -> None:  # noqa: ARG002 (the contract's)
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return (widened(x) + self.bias).to(x.dtype)


class FixupScale(FixupBias):
    """y = weight·x + bias, scalars from 1 and 0 on: the end of a residual branch.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    lr_factors: ClassVar[Mapping[str, float]] = {"weight": LR_FACTOR, "bias": LR_FACTOR}

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * widened(x) + self.bias).to(x.dtype)


def add_input_bias(layer: nn.Conv2d | nn.Linear) -> None:
    """Let `layer` add a learned scalar, `input_bias`, to its input."""
    layer.input_bias = FixupBias(layer.weight.shape[1])
    layer.register_forward_pre_hook(_add_input_bias)


@torch.no_grad()
def initialise(network: nn.Module, places: Sequence[Place]) -> None:
    """Change the first weights by rules 1 and 2; the classification layer is the last linear one.

    Raises ValueError if the network has no residual branches, or no linear layer.
    """
    branches = residual_branches(network, places)
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError("the network has no linear layer, which fixup would start at 0")
    for *others, last in branches:
        for conv in others:
            conv.weight.mul_(len(branches) ** (-1 / (2 * len(others))))
        last.weight.zero_()
    classifier = linears[-1]
    classifier.weight.zero_()
    if classifier.bias is not None:
        classifier.bias.zero_()
    add_input_bias(classifier)


def _add_input_bias(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.get_submodule("input_bias")(inputs[0]), *inputs[1:])
