"""He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import EmptySite, NormLayer
from normexp.models.initial import he_initialise
from normexp.models.norm_act import NormAct

BLOCKS_PER_STAGE = 3


class ResNet20(nn.Module):
    """A stem and three stages of three blocks with `width`, 2 and 4 times `width` channels.

    (N, 3, 32, 32) to logits (N, num_classes). Shortcuts have no weights (option A of the paper).
    The last map is 8×8.
    """

    norm_roles: ClassVar = {
        r"norm": "stem",
        r"stage(?P<stage>\d)\.\d+\.norm1": "first",
        r"stage(?P<stage>\d)\.\d+\.norm2": "last",
        r"stage(?P<stage>\d)\.\d+\.end": "block_end",
    }
    norm_activations: ClassVar = r"act|stage\d\.\d+\.act1"

    def __init__(self, norm_layer: NormLayer, num_classes: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = norm_layer(width)
        self.act = nn.ReLU(inplace=True)
        self.norm_act = NormAct()
        num_in = width
        for stage, num_out in enumerate((width, 2 * width, 4 * width), start=1):
            blocks = nn.Sequential()
            for _ in range(BLOCKS_PER_STAGE):
                blocks.append(ResidualBlock(num_in, num_out, norm_layer))
                num_in = num_out
            self.add_module(f"stage{stage}", blocks)
        self.head = nn.Linear(num_in, num_classes)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm_act(self.conv(images), self.norm, self.act)
        for stage in ("stage1", "stage2", "stage3"):
            x = self.get_submodule(stage)(x)
        return torch.as_tensor(self.head(x.mean((2, 3))))


class ResidualBlock(nn.Module):
    """Two 3×3 convs and a shortcut; halves the map where the channels grow."""

    def __init__(self, num_in: int, num_out: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stride = 1 if num_in == num_out else 2
        self.new_channels = num_out - num_in
        self.conv1 = nn.Conv2d(num_in, num_out, 3, self.stride, padding=1, bias=False)
        self.norm1 = norm_layer(num_out)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1, bias=False)
        self.norm2 = norm_layer(num_out)
        self.end = EmptySite(num_out)
        self.act2 = nn.ReLU(inplace=True)
        self.norm_act = NormAct()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_act(self.conv1(x), self.norm1, self.act1)
        if self.new_channels:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))
        out: Tensor = self.norm_act(self.conv2(y), self.norm2, self.act2, self.end, shortcut=x)
        return out
