"""3×3 convolutions as a network of ours has them, and the same in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.kernels import accelerate
from normexp.models.cnn import ConvNormAct
from normexp.norms.scale_shift import ScaleShift


def accelerated(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution as it is in a block of ours."""
    block = ConvNormAct(conv.in_channels, conv.out_channels, ScaleShift)
    block.conv = conv
    accelerate(block)
    return conv


def expected(x: Tensor, conv: nn.Conv2d, dy: Tensor) -> list[Tensor]:
    """Answers, gradient of the images and gradient of the filters in float64."""
    x, weight = x.detach().double().requires_grad_(), conv.weight.detach().double().requires_grad_()
    y = F.conv2d(x, weight, padding=1)
    return [y.detach(), *torch.autograd.grad(y, (x, weight), dy.double())]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """The root mean square of the error, over that of what is exact."""
    error = (found.detach().double() - exact.detach()).square().mean()
    return float((error / exact.detach().square().mean()).sqrt())


def is_by_kernel(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "_WinogradBackward"
