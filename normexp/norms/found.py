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
from normexp.norms.carried import take_over
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.evonorm_s0 import EvoNormS0
from normexp.norms.frn import ThresholdedFilterResponseNorm
from normexp.norms.known import is_ours, norms_of, num_channels

ACTIVATE = (ThresholdedFilterResponseNorm, EvoNormB0, EvoNormS0)
"""Ours that took the place of the activation after them too."""
SIZES = (224, 32)
"""Pixels at which a network is tried: ImageNet's, or CIFAR's where it takes no other."""


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


def is_own(layer: object) -> bool:
    """Whether a norm layer, or a partial of it, stands for the norms that a network brings."""
    return getattr(layer, "func", layer) is Own


class FoundSite(NormSite):
    """The site of a norm that the network brought along."""

    def __init__(self, own: nn.Module, num_features: int, channels_last: bool) -> None:
        super().__init__(num_features)
        self._own = (own,)  # in a tuple, or it would be a module of this one
        self.channels_last = channels_last

    def filled(self, layer: nn.Module, filters_stay: bool) -> nn.Module:
        """Return what stands here with the norm `layer`, which takes over the own norm's values.

        An activation that is part of the own norm, as in timm's `BatchNormAct2d`, follows it.
        `filters_stay`: what the convolutions compute does not change, so that running statistics
        hold. Raises ValueError where the own norm took the place of an activation.
        """
        (own,) = self._own
        if isinstance(layer, Own):
            return own
        if isinstance(own, ACTIVATE) and type(layer) is not type(own):
            raise ValueError(
                f"{type(own).__name__} stands there for a norm and its activation, which would be "
                "lost: make the network anew"
            )
        take_over(layer, own, running=filters_stay)
        tensor = next(chain(own.parameters(), own.buffers()), None)
        layer = (layer if tensor is None else layer.to(tensor)).train(own.training)
        if self.channels_last:
            layer = ChannelsLast(layer)
        parts = OrderedDict({} if is_ours(own) else own.named_children())
        return nn.Sequential(OrderedDict(norm=layer, **parts)) if parts else layer


def make_sites(network: nn.Module) -> list[str]:
    """Put a site in the place of each norm of `network`, and return the names of those that stay.

    A norm stays if it has no map to normalise: its input is (N, C), tokens, or 1×1 pixels at an
    image of 224×224; or if it is of maps of one size, as `nn.LayerNorm([C, H, W])`. A norm is not
    looked into: one of ours that is made of others is one. Raises ValueError where a norm stands at
    several places.
    """
    found: dict[str, nn.Module] = {}
    for name in norms_of(network):
        module = network.get_submodule(name)
        for other, same in found.items():
            if same is module:
                raise ValueError(f"the norms {other} and {name} are one, which cannot be replaced")
        found[name] = module
    replaceable = [name for name, module in found.items() if num_channels(module) is not None]
    shapes = _input_shapes(network, replaceable) if replaceable else {}
    staying = []
    for name, module in found.items():
        channels = num_channels(module)
        shape = shapes.get(name)  # None where it was not called, as in a head for training alone
        if channels is None or (
            shape is not None and (len(shape) != 4 or shape.numel() == channels)
        ):
            staying.append(name)
            continue
        last = shape is not None and shape[3] == channels and shape[1] != channels
        network.set_submodule(name, FoundSite(module, channels, last))
    return staying


def _input_shapes(network: nn.Module, names: list[str]) -> dict[str, torch.Size]:
    """Return the shape of each named module's input at one image; none where none can be found."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    channels = convolutions[0].in_channels if convolutions else 3
    like = next(network.parameters())
    for size in SIZES:
        image = torch.zeros(1, channels, size, size, dtype=like.dtype, device=like.device)
        with suppress(
            RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError
        ):
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
