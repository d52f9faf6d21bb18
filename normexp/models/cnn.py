"""A plain convolutional network: convolutions in a row, poolings, one linear layer."""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.contracts import EmptySite, NormLayer
from normexp.models.initial import he_initialise
from normexp.models.norm_act import NormAct

# Widths on maps of one size: 32, 16, 8 and 4 pixels when all poolings are there.
STAGES = (1, 2, 2, 1)
# The flattening head sees this many pixels a side, which is the last map of the default network.
FLAT = 4


class CNN(nn.Module):
    """3×3 convolutions with norm and ReLU, max-pooling between stages, a linear layer.

    (N, 3, 32, 32) to logits (N, num_classes). There are `depth` convolutions, equally
    many of each of the six `widths`. `order` is a key of `BLOCKS`. `after`, a key of `HEADS`, is
    what follows the last norm. The first `poolings` of the three poolings are there, so the last
    map is 32, 16, 8 or 4 pixels wide.
    """

    norm_roles: ClassVar = {
        r"stage0\.0\.norm": "stem",
        r"stage(?P<stage>\d)\.\d+\.norm": "first",
        r"stage(?P<stage>\d)\.\d+\.end": "block_end",
    }

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int,
        widths: Sequence[int],
        depth: int,
        order: str,
        after: str,
        poolings: int,
    ) -> None:
        super().__init__()
        if len(widths) != sum(STAGES) or 0 in widths:
            raise ValueError(
                f"model.network.widths={list(widths)}: six widths of 1 or more are needed"
            )
        if not isinstance(depth, int) or depth < 1 or depth % len(widths):
            raise ValueError(f"model.depth={depth}: a multiple of six is needed, such as 6 or 12")
        repeats = depth // len(widths)
        _check_choice("model.order", order, BLOCKS)
        _check_choice("model.after", after, HEADS)
        _check_choice("model.poolings", poolings, range(len(STAGES)))
        self.pool = nn.MaxPool2d(2)
        self.poolings = poolings
        channels = [3, *(width for width in widths for _ in range(repeats))]
        blocks = [BLOCKS[order](i, o, norm_layer) for i, o in pairwise(channels)]
        self.norm_activations = r"(?!)"  # of none: in blocks a norm follows an activation
        if order == "conv-norm-act":
            # What follows the last norm is for `after` to say.
            blocks[-1].act = nn.Identity()
            last = rf"{len(STAGES) - 1}\.{STAGES[-1] * repeats - 1}\.act"
            self.norm_activations = rf"head\.act|stage(?!{last})\d\.\d+\.act"
        for stage, length in enumerate(STAGES):
            self.add_module(f"stage{stage}", nn.Sequential(*blocks[: length * repeats]))
            blocks = blocks[length * repeats :]
        self.head = HEADS[after](widths[-1], num_classes)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for stage in range(len(STAGES)):
            x = self.pool(x) if 0 < stage <= self.poolings else x
            x = self.get_submodule(f"stage{stage}")(x)
        return torch.as_tensor(self.head(x))


class ConvNormAct(nn.Module):
    """3×3 conv, norm, ReLU; (N, C_in, H, W) to (N, C_out, H, W)."""

    def __init__(self, num_in: int, num_out: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, 3, padding=1, bias=False)
        self.norm = norm_layer(num_out)
        self.end = EmptySite(num_out)
        self.act: nn.Module = nn.ReLU(inplace=True)
        self.norm_act = NormAct()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_act(self.conv(x), self.norm, self.act, self.end)
        return y


class ConvActNorm(ConvNormAct):
    """3×3 conv, ReLU, norm; (N, C_in, H, W) to (N, C_out, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.end(self.norm(self.act(self.conv(x)))))


class PoolHead(nn.Module):
    """Global average pooling and a linear layer; (N, C, H, W) to logits (N, num_classes)."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.act: nn.Module = nn.Identity()
        self.linear = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.linear(self.act(x).mean((2, 3))))


class ReluPoolHead(PoolHead):
    """A ReLU, then as `PoolHead`."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__(num_features, num_classes)
        self.act = nn.ReLU(inplace=True)


class FlattenHead(nn.Module):
    """A ReLU and a linear layer on every pixel of a 4×4 map; (N, C, H, W) to (N, num_classes)."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.act: nn.Module = nn.ReLU(inplace=True)
        self.fit = nn.AdaptiveAvgPool2d(FLAT)
        self.linear = nn.Linear(num_features * FLAT * FLAT, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.linear(self.fit(self.act(x)).flatten(1)))


BLOCKS = {"conv-norm-act": ConvNormAct, "conv-act-norm": ConvActNorm}
HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    "relu-pool": ReluPoolHead,
    "pool": PoolHead,
    "flatten": FlattenHead,
}


def _check_choice(key: str, value: object, choices: Collection[object]) -> None:
    if value not in choices:
        raise ValueError(f"{key}={value}: one of {', '.join(map(str, choices))} is needed")
