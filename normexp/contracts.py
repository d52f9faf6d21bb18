"""What the replaceable parts are: a norm layer, a network, images, a contrast augmentation.

Shape letters: N images, C channels, H×W pixels, K classes.
A part is a class or function that fits one of these; a YAML file in conf/ names it by `_target_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]
"""`norm_layer(num_features)` is a module from (N, C, H, W) to the same shape, C = num_features.

`torch.nn.BatchNorm2d` is one as it stands. Statistics are taken in float32 or wider,
whatever the type of the input; the output has the type of the input.
"""


@dataclass(frozen=True)
class Place:
    """Where in a network a norm stands."""

    name: str  # the module's dotted name in the network
    role: str
    """`stem`: the first norm; `first`, `last`: the first and the last norm of a block;
    `shortcut`; `block_end`: after the residual addition, before the activation;
    `norm`: in a network that does not tell."""
    stage: int  # 0 is the stem; blocks on maps of one size share a stage, counted from 1
    stages: int  # the number of stages of the network
    depth: float  # 0 for the first norm of the network, 1 for the last


class NormSite(nn.Module):
    """Stands in a network where a norm will be: networks are built with it as `norm_layer`.

    It has no weights and draws no random number, so every norm meets the same convolutions. What
    else a library hands to its norms, such as eps, device or dtype, is not used: settings have it.
    """

    def __init__(self, num_features: int, *_: object, **__: object) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


class EmptySite(NormSite):
    """A place where a norm may stand, and stands only if the settings name it: the identity."""


@runtime_checkable
class NamesPlaces(Protocol):
    """A network that tells the roles of its norms. One that does not has the role `norm` only."""

    norm_roles: Mapping[str, str]
    """Role by a regular expression that matches a whole module name; its group `stage` is
    the stage."""


@runtime_checkable
class NamesActivations(Protocol):
    """A network that tells which activations follow a norm, for norms that bring their own."""

    norm_activations: str
    """A regular expression that matches the names of the activations directly after a norm."""


Network = Callable[..., nn.Module]
"""`network(norm_layer=..., num_classes=...)` is a module from (N, 3, H, W) to logits (N, K).

Without a parameter `norm_layer` it makes norms of its own, which are then found by their type.
"""


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes, in memory."""

    images: Tensor  # uint8 (N, H, W, 3)
    labels: Tensor  # int64 (N,)
    gain: Tensor | None = None  # float (N,): the factor of each image once standardised; None is 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> LabelledImages:
        gain = None if self.gain is None else self.gain[index]
        return LabelledImages(self.images[index], self.labels[index], gain)

    def to(self, device: torch.device) -> LabelledImages:
        gain = None if self.gain is None else self.gain.to(device)
        return LabelledImages(self.images.to(device), self.labels.to(device), gain)


@dataclass(frozen=True)
class DataSource:
    """What a data set's `_target_` returns."""

    train: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    val: LabelledImages | None = None  # without it, a share of the training images is held out
    notes: tuple[str, ...] = ()  # lines that a run prints and logs, such as what was left out


@runtime_checkable
class Contrast(Protocol):
    """A contrast augmentation, drawn per image."""

    def draw(self, num_images: int, generator: torch.Generator) -> Tensor:
        """The random numbers of `num_images` images, (N, P), on the CPU."""

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """`images` float (N, 3, H, W) in [0, 1], changed by their `draws` (N, P)."""


@runtime_checkable
class FollowsSteps(Protocol):
    """A layer that acts after each optimizer step."""

    def after_step(self, progress: float) -> bool | None:
        """`progress`: the share of the training that is done, in (0, 1].

        True where the layer launches other operations from the next step on: one that is recorded
        on a GPU is then recorded anew. New values of its tensors are no such change.
        """


@runtime_checkable
class HasReadings(Protocol):
    """A layer with numbers worth a curve, such as a learned gate."""

    def readings(self) -> Mapping[str, Tensor]:
        """Scalars by name."""


@runtime_checkable
class ScalesLearningRate(Protocol):
    """A layer some of whose parameters learn at a multiple of the learning rate."""

    lr_factors: ClassVar[Mapping[str, float]]  # the factor by the parameter's name in the layer
