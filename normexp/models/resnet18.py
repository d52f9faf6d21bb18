"""torchvision's ResNet-18 for small images."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from normexp.contracts import EmptySite, NormLayer
from normexp.models.initial import he_initialise
from normexp.models.norm_act import NormAct


class Block(BasicBlock):  # type: ignore[misc]
    """torchvision's block with an empty site after the addition and activations of its own."""

    def __init__(self, inplanes: int, planes: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(inplanes, planes, *args, **kwargs)
        self.act1 = nn.ReLU(inplace=True)
        self.end = EmptySite(planes)
        self.norm_act = NormAct()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_act(self.conv1(x), self.bn1, self.act1)
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.norm_act(self.conv2(y), self.bn2, self.relu, self.end, shortcut)
        return out


class SmallImageResNet18(ResNet):  # type: ignore[misc]
    """torchvision's network with a 3×3 stem of stride 1 and no pooling, so its last map is 4×4.

    (N, 3, 32, 32) to logits (N, num_classes). The stem for large images would leave maps of 1×1,
    on which instance norm has nothing to do.
    """

    norm_roles: ClassVar = {
        r"bn1": "stem",
        r"layer(?P<stage>\d)\.\d+\.bn1": "first",
        r"layer(?P<stage>\d)\.\d+\.bn2": "last",
        r"layer(?P<stage>\d)\.\d+\.downsample\.1": "shortcut",
        r"layer(?P<stage>\d)\.\d+\.end": "block_end",
    }
    norm_activations: ClassVar = r"relu|layer\d\.\d+\.act1"

    def __init__(self, norm_layer: NormLayer, num_classes: int) -> None:
        super().__init__(Block, [2, 2, 2, 2], num_classes=num_classes, norm_layer=norm_layer)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.maxpool = nn.Identity()
        he_initialise(self)
