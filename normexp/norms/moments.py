"""Means and variances of parts, put together to those of the whole."""

import torch
from torch import Tensor


def pooled(mean: Tensor, variance: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over `dim`, kept with length 1, of parts of equal size."""
    between, mean_of_means = torch.var_mean(mean, dim=dim, correction=0, keepdim=True)
    return mean_of_means, variance.mean(dim=dim, keepdim=True) + between
