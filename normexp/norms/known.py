"""Which modules of a network are norms: torch's, what is derived of them, and ours."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from normexp.contracts import NormSite
from normexp.norms.batch_instance import BatchInstanceNorm
from normexp.norms.frn import FilterResponseNorm
from normexp.norms.rms2d import RMSNorm2d

OTHERS = (nn.BatchNorm1d, nn.BatchNorm3d)
OF_ANY_SHAPE = (_BatchNorm, _InstanceNorm, nn.LayerNorm, nn.RMSNorm)
"""Norms of torch's, also those of other inputs than maps of any size."""
NORMS = (BatchInstanceNorm, FilterResponseNorm, RMSNorm2d)
"""Ours that normalise and are none of torch's."""


def norms_of(network: nn.Module) -> list[str]:
    """Return the names of the norms, but for those in a site or in another norm."""
    names: list[str] = []
    outer: tuple[str, ...] = ()
    for name, module in network.named_modules(remove_duplicate=False):
        is_norm = num_channels(module) is not None or isinstance(module, OF_ANY_SHAPE)
        if name.startswith(outer) or not (is_norm or isinstance(module, NormSite)):
            continue
        outer = (*outer, f"{name}.")
        if not isinstance(module, NormSite):
            names.append(name)
    return names


def unsettled(network: nn.Module) -> list[str]:
    """Return the names of layers whose running statistics have their first values, 0 and 1."""
    found = []
    for name, module in network.named_modules():
        mean, variance = (getattr(module, key, None) for key in ("running_mean", "running_var"))
        if isinstance(mean, Tensor) and isinstance(variance, Tensor):
            found += [name] * bool((mean == 0).all() and (variance == 1).all())
    return found


def num_channels(module: nn.Module) -> int | None:
    """Return the channels of a norm of maps, torch's or ours, or None where `module` is none."""
    features = getattr(module, "num_features", None)
    return features if is_ours(module) and isinstance(features, int) else _of_torch(module)


def is_ours(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("normexp.norms.") for kind in type(module).__mro__)


def _of_torch(module: nn.Module) -> int | None:
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm | nn.InstanceNorm2d):
        return module.num_features
    running, shape = (getattr(module, name, None) for name in ("running_mean", "normalized_shape"))
    if isinstance(running, Tensor) and not isinstance(module, OTHERS):
        return len(running)
    return int(shape[0]) if isinstance(shape, tuple) and len(shape) == 1 else None


def normalises(module: nn.Module) -> bool:
    """Whether `module` is a norm of maps, or one of ours, whose scale follows a normalisation."""
    return _of_torch(module) is not None or isinstance(module, NORMS)
