"""3×3 convolutions by Winograd's algorithm, at fewer products than they have terms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import calls, compiled

WORTH_WINOGRAD = 1024
"""Pairs of channels below which torch's convolution of bfloat16 is as fast (16 and 16: 1.4 times
as fast)."""
WORTH_A_TILE = 3
"""Pixels of a side of the map below which F(4×4) of float32 needs as many products as torch's."""


class WinogradConv2d(nn.Conv2d):
    """torch's, of 3×3 pixels, without bias; by a kernel where there is one that is faster.

    In float32 F(4×4) (`winograd_float32.cpp`) rounds twice as much as torch's, to 1e-6 of the
    answers' size. In bfloat16 F(2×2) (`winograd.cpp`) rounds twice as much too, to 0.4 %, as what
    it multiplies is rounded after it was transformed. An answer that torch has infinite or NaN is
    infinite or NaN here too, and so may be the others of its tile. Answers of F(4×4) overflow where
    those of torch would be a hundredth of the largest float32 or more.
    """

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if not (self.padding_mode == "zeros" and x.shape[1] == self.in_channels and takes(x, weight)):
            return super().forward(x)
        y: Tensor = _Winograd.apply(x, weight)
        return y


def takes(x: Tensor, weight: Tensor) -> bool:
    """Whether a kernel convolves images `x` by filters `weight`, and is worth it."""
    num_out, num_in = weight.shape[:2]
    if not (calls.takes(x) and weight.is_cpu and num_out % calls.LANES == 0):
        return False
    if x.dtype is torch.float32:
        return (
            weight.dtype is torch.float32
            and num_in % calls.LANES == 0
            and min(x.shape[2:]) >= WORTH_A_TILE
            and not torch.is_autocast_enabled("cpu")
        )
    return (
        x.dtype is torch.bfloat16
        and weight.dtype in calls.TYPES
        and num_in % (calls.LANES if x.requires_grad else 2) == 0
        and num_in * num_out >= WORTH_WINOGRAD
        and hasattr(compiled.library(), "winograd_forward")
    )


def is_3x3(conv: nn.Conv2d) -> bool:
    """Whether `conv` is one of 3×3 pixels that keeps the map's size, without bias."""
    return (
        (conv.kernel_size, conv.stride, conv.dilation) == ((3, 3), (1, 1), (1, 1))
        and conv.padding in (1, (1, 1), "same")
        and conv.groups == 1
        and conv.bias is None
    )


_KERNELS = {torch.float32: "winograd_float32", torch.bfloat16: "winograd"}


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("the gradient of this convolution's gradient is not there")
        x, weight = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = dweight = None
        if ctx.needs_input_grad[1]:
            dweight = torch.empty_like(
                weight, dtype=torch.float32, memory_format=torch.channels_last
            )
            call = calls.convolution(x, weight.shape, dweight=dweight, dy=dy)
            calls.call(f"{_KERNELS[x.dtype]}_filter_gradient", call)
        if ctx.needs_input_grad[0]:
            dx = _convolved(dy, weight, is_turned=True)
        return dx, dweight


def _convolved(x: Tensor, weight: Tensor, is_turned: bool = False) -> Tensor:
    """Return the convolution by filters, or, turned, the gradient of the images that `x` is of."""
    num_in, num_out = x.shape[1], weight.shape[is_turned]
    weight = weight.float().contiguous(memory_format=torch.channels_last)
    shape = (len(x), num_out, *x.shape[2:])
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    tensors = {"weight": weight, "y": y}
    if x.dtype is torch.bfloat16:
        tensors["filters"] = torch.empty(16 * num_in * num_out, dtype=torch.bfloat16)
    call = calls.convolution(x, weight.shape, is_turned, **tensors)
    if x.dtype is torch.bfloat16:
        calls.call("winograd_filters", call)
    calls.call(f"{_KERNELS[x.dtype]}_forward", call)
    return y
