"""Re-estimate the running statistics of batch norm, the weights being fixed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn

from normexp.evaluation.statistics import batch_layers, estimate


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Set running means and variances to the population's, estimated over `batches` (N, 3, H, W).

    All batches have as many images as the first; smaller ones are left out. Returns how many layers
    have changed, and leaves the network's mode as it was. Raises ValueError if there is no batch.
    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021.
    """
    batches = iter(batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("no batch is given, and running statistics need one at least")
    modes = {module: module.training for module in network.modules()}
    same = (batch for batch in chain([first], batches) if len(batch) == len(first))
    moments = estimate(network, same, len(first))["precise"]
    for name, layer in batch_layers(network).items():
        if name in moments and layer.running_mean is not None and layer.running_var is not None:
            mean, variance = moments[name]
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
    for module, mode in modes.items():
        module.training = mode
    return len(moments)
