"""Re-estimate the running statistics of batch norm, the weights being fixed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn

from normexp.evaluation.parts import Moments
from normexp.evaluation.statistics import batch_layers, estimate, mode_kept


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Set running means and variances to the population's, estimated over `batches` (N, 3, H, W).

    All batches have as many images as the first; smaller ones are left out. Returns how many layers
    have changed, and leaves the network's mode as it was. Raises ValueError if there is no batch.
    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021.
    """
    if not batch_layers(network):
        return 0
    with mode_kept(network):
        moments, _ = precise(network, batches)
    changed = 0
    for name, layer in batch_layers(network).items():
        if name in moments and layer.running_mean is not None and layer.running_var is not None:
            mean, variance = moments[name]
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
            changed += 1
    return changed


def precise(network: nn.Module, batches: Iterable[Tensor]) -> tuple[dict[str, Moments], int]:
    """Estimate the population's moments by layer over `batches` (N, 3, H, W); return them and N.

    All batches have as many images as the first; others are left out. Raises ValueError if there
    is no batch.
    """
    batches = iter(batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("no batch is given, and running statistics need one at least")
    same = (batch for batch in chain([first], batches) if len(batch) == len(first))
    return estimate(network, same, len(first))["precise"], len(first)
