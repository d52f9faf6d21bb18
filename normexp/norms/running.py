"""The update of running statistics, for batch norms that compute their statistics themselves."""

import torch
from torch import Tensor, nn


def values_per_channel(x: Tensor) -> int:
    """Return N·H·W of `x` (N, C, H, W); raises ValueError at 1, which has no variance."""
    count = x.numel() // x.shape[1]
    if count == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got {tuple(x.shape)}"
        )
    return count


@torch.no_grad()
def update_running(norm: nn.BatchNorm2d, mean: Tensor, unbiased_variance: Tensor) -> None:
    """Move the running statistics of `norm` to a batch's, each (C,), as torch's batch norm does.

    The batch has the weight `norm.momentum`, or, where that is None, the same as each one before.
    """
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    new = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, new)
    norm.running_var.lerp_(unbiased_variance, new)
