"""What a norm takes over of the one in whose place it comes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normexp.norms.known import normalises, num_channels


@torch.no_grad()
def take_over(layer: nn.Module, own: nn.Module, running: bool = True) -> None:
    """Copy scale, shift and, if `running`, running statistics of `own` to `layer`, if it has such.

    The norms in `layer` have all channels, or parts in their order, as in `IBN`, whose batch norm
    has the last ones. A parameter is frozen as the one whose values it takes, and all are where all
    of `own` are. What does not normalise takes nothing over and hands nothing on, as its scale
    means something else; nor does a class that is not known here. A batch norm behind another norm,
    as in `GroupBatchNorm`, sees other values, and takes no running statistics over.
    """
    learning = [parameter.requires_grad for parameter in own.parameters()]
    # In torchvision's FrozenBatchNorm2d scale and shift are buffers.
    has_scale = bool(learning) or isinstance(getattr(own, "weight", None), Tensor)
    if has_scale and not any(learning):
        layer.requires_grad_(False)
    if not normalises(own):
        return
    norms = [m for m in layer.modules() if normalises(m)]
    running_too = running and not _is_behind_another(layer)
    for name in ("weight", "bias", *("running_mean", "running_var") * running_too):
        values = getattr(own, name, None)
        parts = [getattr(m, name, None) for m in norms]
        vectors = [part for part in parts if isinstance(part, Tensor) and part.ndim == 1]
        sizes = list(map(len, vectors))
        if not isinstance(values, Tensor) or not vectors or sum(sizes) > len(values):
            continue
        if sum(sizes) < len(values) and not name.startswith("running"):
            continue
        for part, new in zip(vectors, torch.split(values[-sum(sizes) :], sizes), strict=True):
            part.copy_(new)
            if isinstance(part, nn.Parameter) and isinstance(values, nn.Parameter):
                part.requires_grad_(values.requires_grad)
    count, own_count = (getattr(m, "num_batches_tracked", None) for m in (layer, own))
    if running_too and isinstance(count, Tensor) and isinstance(own_count, Tensor):
        count.copy_(own_count)


def _is_behind_another(layer: nn.Module) -> bool:
    """Whether a norm with running statistics comes after another one of as many channels."""
    inner = [m for m in layer.modules() if m is not layer and normalises(m)]
    channels = [num_channels(m) for m in inner]
    return any(
        isinstance(getattr(m, "running_mean", None), Tensor) and channels[i] in channels[:i]
        for i, m in enumerate(inner)
    )
