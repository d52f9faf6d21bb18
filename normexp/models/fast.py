"""A network that learns much in few epochs, after the speed runs of Jordan.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv:2404.00498: fixed first
filters, convolutions that start as the identity, pooling before the norm, small logits, and an
evaluation of several views of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import EmptySite, NormLayer
from normexp.models.conv import Conv3x3, conv_and_pool
from normexp.models.joined import norm_and_act
from normexp.models.pool import MaxPool

HAAR = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
"""Mean and differences of 2×2 pixels."""
OPPONENT = F.normalize(torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]]), dim=1)
"""Grey, red against blue, green against both."""
SPREAD = torch.tensor([[3.2, 0.6, 0.65, 0.3], [0.9, 0.2, 0.2, 0.2], [0.45, 0.2, 0.2, 0.2]])
"""Of their answers to standardised photographs, about √(variance + 0.03) on CIFAR-10 as JPEG.
The 0.03 leaves small what is hardly there, the detail of colour."""
LOGIT_SCALE = 1 / 9


class FastCNN(nn.Module):
    """Fixed filters of 2×2 pixels, a block for each of `widths`, a linear layer on the maxima.

    (N, 3, 32, 32) to logits (N, num_classes). In evaluation they are the mean over four views: the
    image and its mirror image, each as it is and shifted by a pixel to opposite corners. The last
    map is 3 pixels wide with three blocks.
    In the first `small_share` of the training's steps images are made smaller by `small_scale`,
    which costs its square (Howard, "Training Imagenet in 3 hours for $25; and CIFAR10 for $0.26",
    fast.ai 2018).
    """

    norm_roles: ClassVar = {
        r"stage1\.norm1": "stem",
        r"stage(?P<stage>\d+)\.norm1": "first",
        r"stage(?P<stage>\d+)\.norm2": "last",
        r"stage(?P<stage>\d+)\.end": "block_end",
    }
    norm_activations: ClassVar = r"stage\d+\.act[12]"

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int,
        widths: Sequence[int],
        small_scale: float,
        small_share: float,
    ) -> None:
        super().__init__()
        if not widths or 0 in widths:
            raise ValueError(f"model.network.widths={list(widths)}: at least one is needed, not 0")
        for name, value in (("small_scale", small_scale), ("small_share", small_share)):
            if not 0 <= value <= 1:
                raise ValueError(f"model.network.{name}={value}: a share from 0 to 1 is needed")
        self.small_scale, self.small_share = small_scale, small_share
        self.progress = 0.0  # no buffer: a GPU would be waited for, to know the size
        self.filters: Tensor
        self.register_buffer("filters", fixed_filters())
        num_in = 2 * len(self.filters)
        self.stages = [f"stage{i}" for i in range(1, 1 + len(widths))]
        for stage, width in zip(self.stages, widths, strict=True):
            self.add_module(stage, Block(num_in, width, norm_layer))
            num_in = width
        self.head = nn.Linear(num_in, num_classes, bias=False)
        nn.init.normal_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            return self.logits(self.made_small(images))
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        shifted = padded[:, :, :-2, :-2], padded[:, :, 2:, 2:].flip(3)
        return sum(map(self.logits, (images.flip(3), *shifted)), self.logits(images)) / 4

    def made_small(self, images: Tensor) -> Tensor:
        """Return images (N, 3, H, W) of the size that is trained on at the present progress."""
        if self.progress >= self.small_share:
            return images
        size = [round(pixels * self.small_scale) for pixels in images.shape[2:]]
        # In channels last, which the network needs, it would take four times as long.
        small = F.interpolate(images.contiguous(), size, mode="bilinear", antialias=True)
        return small.contiguous(memory_format=torch.channels_last)

    def after_step(self, progress: float) -> None:
        """Keep the progress, which sets the size."""
        self.progress = progress

    def get_extra_state(self) -> float:
        """Return the progress: a training goes on where it stopped."""
        return self.progress

    def set_extra_state(self, state: float) -> None:
        """Take what `get_extra_state` returned."""
        self.progress = state

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of images (N, 3, H, W) as they are."""
        x = F.conv2d(images, self.filters)
        x = torch.cat((x, -x), 1).relu_()
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return torch.as_tensor(self.head(x.amax((2, 3)))) * LOGIT_SCALE


class Block(nn.Module):
    """3×3 conv, pool, norm, ReLU, 3×3 conv, norm, ReLU; (N, C_in, H, W) to (N, C_out, H/2, W/2)."""

    def __init__(self, num_in: int, num_out: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.conv1 = Conv3x3(num_in, num_out)
        self.pool = MaxPool()
        self.norm1 = norm_layer(num_out)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = Conv3x3(num_out, num_out)
        self.norm2 = norm_layer(num_out)
        self.end = EmptySite(num_out)
        self.act2 = nn.ReLU(inplace=True)
        for conv in (self.conv1, self.conv2):  # what comes in goes on, beside the drawn filters
            nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        x = norm_and_act(conv_and_pool(x, self.conv1, self.pool), self.norm1, None, self.act1)
        return norm_and_act(self.conv2(x), self.norm2, self.end, self.act2)


def fixed_filters() -> Tensor:
    """Return twelve filters (12, 3, 2, 2) whose answers to photographs are almost uncorrelated."""
    filters = OPPONENT[:, None, :, None] * HAAR[None, :, None, :] / SPREAD[:, :, None, None]
    return filters.reshape(-1, 3, 2, 2)
