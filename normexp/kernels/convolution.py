"""3×3 convolutions of bfloat16 by Winograd's algorithm, at fewer products than they have terms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import calls, compiled

WORTH_WINOGRAD = 1024
"""Pairs of channels below which torch's convolution is as fast (16 and 16: 1.4 times as fast)."""


class WinogradConv2d(nn.Conv2d):
    """torch's, of 3×3 pixels, without bias; in bfloat16 by the kernel (`winograd.cpp`).

    It rounds twice as much as torch's, to 0.4 % of the answers' size, as what it multiplies is
    rounded after it was transformed.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.padding_mode == "zeros" and takes(x, self.in_channels, self.out_channels)):
            return super().forward(x)
        weight = self.weight
        if not (weight.is_cpu and weight.dtype in calls.TYPES):
            return super().forward(x)
        y: Tensor = _Winograd.apply(x, weight)
        return y


def takes(x: Tensor, num_in: int, num_out: int) -> bool:
    """Whether the kernel convolves images `x` of `num_in` channels to `num_out`."""
    return (
        x.dtype is torch.bfloat16
        and calls.takes(x)
        and x.shape[1] == num_in
        and num_in % (calls.LANES if x.requires_grad else 2) == 0
        and num_out % calls.LANES == 0
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
            calls.call("winograd_filter_gradient", call)
        if ctx.needs_input_grad[0]:
            dx = _convolved(dy, weight, is_turned=True)
        return dx, dweight


def _convolved(x: Tensor, weight: Tensor, is_turned: bool = False) -> Tensor:
    """Return the convolution by filters, or, turned, the gradient of the images that `x` is of."""
    num_in, num_out = x.shape[1], weight.shape[is_turned]
    weight = weight.float().contiguous(memory_format=torch.channels_last)
    shape = (len(x), num_out, *x.shape[2:])
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    filters = torch.empty(16 * num_in * num_out, dtype=torch.bfloat16)
    call = calls.convolution(x, weight.shape, is_turned, weight=weight, filters=filters, y=y)
    calls.call("winograd_filters", call)
    calls.call("winograd_forward", call)
    return y
