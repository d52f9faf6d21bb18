"""Weight standardisation: each filter has mean 0 and standard deviation 1.

Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization",
2019 (arXiv 1903.10520). It goes with a norm of the activations, group norm in the paper.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class StandardFilters(nn.Module):
    """Filters (C, …) less their means, divided by their standard deviations plus eps."""

    def __init__(self, *, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, weight: Tensor) -> Tensor:
        std, mean = torch.std_mean(weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (weight - mean) / (std + self.eps)


def standardise_filters(conv: nn.Conv2d, *, eps: float) -> None:
    if conv.weight[0].numel() == 1:
        raise ValueError(
            f"{conv} has filters of one weight, which would always become 0: "
            "use another norm, or convolutions with more weights"
        )
    parametrize.register_parametrization(conv, "weight", StandardFilters(eps=eps))
