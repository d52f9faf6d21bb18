"""Swap a network's layers for those that have a kernel."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from normexp.contracts import EmptySite
from normexp.kernels import compiled, norms
from normexp.kernels.convolution import WinogradConv2d, is_3x3
from normexp.kernels.hooks import is_unseen
from normexp.kernels.pooling import FastMaxPool, halves
from normexp.models.cnn import ConvNormAct
from normexp.models.norm_act import NormAct
from normexp.models.resnet20 import ResidualBlock
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.group import GroupNorm
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm, PlainInstanceNorm
from normexp.norms.mean import MeanNorm


class FastNormAct(NormAct):
    """A norm, an addition and a ReLU in the same passes, unless somebody looks between."""

    def forward(
        self,
        x: Tensor,
        norm: nn.Module,
        act: nn.Module,
        end: nn.Module | None = None,
        shortcut: Tensor | None = None,
    ) -> Tensor:
        if (
            isinstance(norm, norms.FastNorm)
            and type(act) is nn.ReLU
            and (end is None or type(end) is EmptySite)
            and is_unseen((norm, act, end))
        ):
            y = norm.by_kernel(x, relu=True, shortcut=shortcut)
            if y is not None:
                return y
        return super().forward(x, norm, act, end, shortcut)


FAST: Mapping[type[nn.Module], type[nn.Module]] = {
    NormAct: FastNormAct,
    nn.BatchNorm2d: norms.FastBatchNorm,
    GhostBatchNorm: norms.FastGhostBatchNorm,
    nn.InstanceNorm2d: norms.FastPlainInstanceNorm,
    InstanceNorm: norms.FastInstanceNorm,
    PlainInstanceNorm: norms.FastOwnPlainInstanceNorm,
    GroupNorm: norms.FastGroupNorm,
    GatedNorm: norms.FastGatedNorm,
    MeanNorm: norms.FastMeanNorm,
    IBN: norms.FastIBN,
    nn.MaxPool2d: FastMaxPool,
}
CONVOLVES_BY_WINOGRAD = (ConvNormAct, ResidualBlock)
"""Blocks whose 3×3 convolutions may round as Winograd's algorithm does; other networks' are
torch's."""


def accelerate(network: nn.Module) -> None:
    """Swap layers of `network`, in place, for faster ones on the CPU, where there is a compiler.

    Each becomes of a subclass of its class, and keeps its parameters, buffers, hooks and name;
    layers of a class that is not exactly torch's or ours stay as they are. What a kernel does not
    take, such as images on a GPU, goes the way it went before.
    """
    if compiled.library() is None:
        return
    for module in network.modules():
        fast = FAST.get(type(module))
        if fast is not None and not (isinstance(module, nn.MaxPool2d) and not halves(module)):
            module.__class__ = fast
        if isinstance(module, CONVOLVES_BY_WINOGRAD):
            for conv in module.children():
                _swap_convolution(conv)


def _swap_convolution(conv: nn.Module) -> None:
    if not (isinstance(conv, nn.Conv2d) and is_3x3(conv)):
        return
    if type(conv) is nn.Conv2d:
        conv.__class__ = WinogradConv2d
    elif parametrize.is_parametrized(conv) and type(conv).__bases__ == (nn.Conv2d,):
        type(conv).__bases__ = (WinogradConv2d,)  # torch made a class for this layer alone
