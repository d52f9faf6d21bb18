"""The norms of a network that takes no `norm_layer`: found by type, and made sites.

Norms are torch's batch, instance, group, layer and RMS norm, what is derived of them, such as
timm's and torchvision's `LayerNorm2d`, and every layer with running statistics, such as
torchvision's `FrozenBatchNorm2d`.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from normexp.contracts import NormSite
from normexp.norms.batch_instance import BatchInstanceNorm
from normexp.norms.frn import FilterResponseNorm
from normexp.norms.rms2d import RMSNorm2d

SIZES = (224, 32)
"""Pixels at which a network is tried: ImageNet's, or CIFAR's where it takes no other."""
OTHERS = (nn.BatchNorm1d, nn.BatchNorm3d)
NORMS = (BatchInstanceNorm, FilterResponseNorm, RMSNorm2d)
"""Ours that normalise and are none of torch's."""


class Own(nn.Identity):
    """Stands for the network's own norm: `place_norms` leaves it where it is."""

    def __init__(self, num_features: int) -> None:  # noqa: ARG002 (the contract's)
        super().__init__()


class ChannelsLast(nn.Module):
    """A norm of (N, C, H, W) on maps of (N, H, W, C)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.permute(0, 3, 1, 2))
        return y.permute(0, 2, 3, 1)


class FoundSite(NormSite):
    """The site of a norm that the network brought along."""

    def __init__(self, own: nn.Module, num_features: int, channels_last: bool) -> None:
        super().__init__(num_features)
        self._own = (own,)  # in a tuple, or it would be a module of this one
        self.channels_last = channels_last

    def filled(self, layer: nn.Module) -> nn.Module:
        """Return what stands here with the norm `layer`, which takes over the own norm's values.

        An activation that is part of the own norm, as in timm's `BatchNormAct2d`, follows it.
        """
        (own,) = self._own
        if isinstance(layer, Own):
            return own
        take_over(layer, own)
        tensor = next(chain(own.parameters(), own.buffers()), None)
        layer = (layer if tensor is None else layer.to(tensor)).train(own.training)
        if self.channels_last:
            layer = ChannelsLast(layer)
        parts = OrderedDict(own.named_children())
        return nn.Sequential(OrderedDict(norm=layer, **parts)) if parts else layer


def make_sites(network: nn.Module) -> list[str]:
    """Put a site in the place of each norm of `network`, and return the names of those that stay.

    A norm stays if it has no map to normalise: its input is (N, C), tokens, or 1×1 pixels at an
    image of 224×224. Raises ValueError where a norm stands at several places.
    """
    found: dict[str, tuple[nn.Module, int]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        channels = num_channels(module)
        if channels is None or isinstance(module, NormSite):
            continue
        for other, (same, _) in found.items():
            if same is module:
                raise ValueError(f"the norms {other} and {name} are one, which cannot be replaced")
        found[name] = module, channels
    shapes = _input_shapes(network, list(found)) if found else {}
    staying = []
    for name, (module, channels) in found.items():
        shape = shapes.get(name)  # None where it was not called, as in a head for training alone
        if shape is not None and (len(shape) != 4 or shape.numel() == channels):
            staying.append(name)
            continue
        last = shape is not None and shape[3] == channels and shape[1] != channels
        network.set_submodule(name, FoundSite(module, channels, last))
    return staying


def num_channels(module: nn.Module) -> int | None:
    """Return the channels of a norm of maps, or None where `module` is none."""
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm | nn.InstanceNorm2d):
        return module.num_features
    running, shape = (getattr(module, name, None) for name in ("running_mean", "normalized_shape"))
    if isinstance(running, Tensor) and not isinstance(module, OTHERS):
        return len(running)
    return int(shape[0]) if isinstance(shape, tuple) and len(shape) == 1 else None


@torch.no_grad()
def take_over(layer: nn.Module, own: nn.Module) -> None:
    """Copy the scale and shift of `own`, and its running statistics, to `layer` where it has such.

    The norms in `layer` have all channels, or parts in their order, as in `IBN`, whose batch norm
    has the last ones. What does not normalise takes nothing over, as its scale means something
    else; nor does a class that is not known here.
    """
    for name in ("weight", "bias", "running_mean", "running_var"):
        values = getattr(own, name, None)
        parts = [getattr(m, name, None) for m in layer.modules() if _is_norm(m)]
        vectors = [part for part in parts if isinstance(part, Tensor) and part.ndim == 1]
        sizes = list(map(len, vectors))
        if not isinstance(values, Tensor) or not vectors or sum(sizes) > len(values):
            continue
        if sum(sizes) < len(values) and not name.startswith("running"):
            continue
        for part, new in zip(vectors, torch.split(values[-sum(sizes) :], sizes), strict=True):
            part.copy_(new)
    count, own_count = (getattr(m, "num_batches_tracked", None) for m in (layer, own))
    if isinstance(count, Tensor) and isinstance(own_count, Tensor):
        count.copy_(own_count)


def _is_norm(module: nn.Module) -> bool:
    return num_channels(module) is not None or isinstance(module, NORMS)


def _input_shapes(network: nn.Module, names: list[str]) -> dict[str, torch.Size]:
    """Return the shape of each named module's input at one image; none where none can be found."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    channels = convolutions[0].in_channels if convolutions else 3
    like = next(network.parameters())
    for size in SIZES:
        image = torch.zeros(1, channels, size, size, dtype=like.dtype, device=like.device)
        with suppress(RuntimeError, ValueError, AssertionError, TypeError):
            return _shapes_at(copy.deepcopy(network).eval(), names, image)
    return {}


@torch.no_grad()
def _shapes_at(network: nn.Module, names: list[str], image: Tensor) -> dict[str, torch.Size]:
    shapes = {}

    def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[name] = inputs[0].shape

    for name in names:
        network.get_submodule(name).register_forward_pre_hook(partial(note, name))
    network(image)
    return shapes
