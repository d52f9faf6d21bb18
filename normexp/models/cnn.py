"""A plain convolutional network: six convolutions in a row, three poolings, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from normexp.contracts import EmptySite, NormLayer
from normexp.models.initial import he_initialise

# Max-pooling after the first, third and fifth convolution: maps of 32, 16, 16, 8, 8 and 4 pixels.
STAGES = (1, 2, 2, 1)


class CNN(nn.Module):
    """3×3 conv, norm, ReLU for each of `widths`, then global average pooling and a linear layer.

    (N, 3, 32, 32) to logits (N, num_classes). The last map is 4×4.
    """

    norm_roles: ClassVar = {
        r"stage0\.0\.norm": "stem",
        r"stage(?P<stage>\d)\.\d+\.norm": "first",
        r"stage(?P<stage>\d)\.\d+\.end": "block_end",
    }
    norm_activations: ClassVar = r"stage\d\.\d+\.act"

    def __init__(self, norm_layer: NormLayer, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != sum(STAGES):
            raise ValueError(f"model.network.widths={list(widths)}: six widths are needed")
        self.pool = nn.MaxPool2d(2)
        channels = [3, *widths]
        blocks = [ConvBlock(i, o, norm_layer) for i, o in zip(channels, widths, strict=False)]
        for stage, length in enumerate(STAGES):
            self.add_module(f"stage{stage}", nn.Sequential(*blocks[:length]))
            blocks = blocks[length:]
        self.head = nn.Linear(widths[-1], num_classes)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for stage in range(len(STAGES)):
            x = self.pool(x) if stage else x
            x = self.get_submodule(f"stage{stage}")(x)
        return torch.as_tensor(self.head(x.mean((2, 3))))


class ConvBlock(nn.Module):
    """3×3 conv, norm, ReLU; (N, C_in, H, W) to (N, C_out, H, W)."""

    def __init__(self, num_in: int, num_out: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, 3, padding=1, bias=False)
        self.norm = norm_layer(num_out)
        self.end = EmptySite(num_out)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.act(self.end(self.norm(self.conv(x)))))
