"""3×3 convolutions at fewer products than they have terms, and the pooling after them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import at, fits_winograd, functions, threads_for
from normexp.models.joined import is_unseen
from normexp.models.pool import MaxPool, unpooled


class Conv3x3(nn.Conv2d):
    """torch's, without bias, (N, C_in, H, W) to (N, C_out, H, W); in bfloat16 on the CPU faster.

    There it is Winograd's algorithm (`kernels/winograd.cpp`). It rounds twice as much as torch's,
    to 0.4 % of the answers' size, as what it multiplies is rounded after it was transformed.
    """

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__(num_in, num_out, 3, padding=1, bias=False)

    def forward(self, x: Tensor, is_pooled: bool = False) -> Tensor:
        if self.takes(x):
            y: Tensor = _Winograd.apply(x, self.weight, is_pooled)
            return y
        assert not is_pooled
        return torch.as_tensor(super().forward(x))

    def takes(self, x: Tensor) -> bool:
        """Whether images `x` are convolved by Winograd's algorithm."""
        return self.padding_mode == "zeros" and fits_winograd(x, self.out_channels)


def conv_and_pool(x: Tensor, conv: nn.Module, pool: nn.Module) -> Tensor:
    """Return pool(conv(x)), in the same bits whether in one pass or not."""
    if (
        isinstance(conv, Conv3x3)
        and type(pool) is MaxPool
        and is_unseen(conv, pool)
        and min(x.shape[2:]) > 1
        and conv.takes(x)
    ):
        return torch.as_tensor(conv(x, is_pooled=True))
    return torch.as_tensor(pool(conv(x)))


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, is_pooled: bool) -> Tensor:
        num_images, _, height, width = x.shape
        shape = (height // 2, width // 2) if is_pooled else (height, width)
        y = torch.empty(
            (num_images, len(weight), *shape), dtype=x.dtype, memory_format=torch.channels_last
        )
        which = torch.empty(y.numel(), dtype=torch.uint8) if is_pooled else None
        _convolve(x, weight, y, which)
        ctx.save_for_backward(x, weight, which)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("the gradient of this convolution's gradient is not there")
        x, weight, which = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = dw = None
        if ctx.needs_input_grad[1]:
            dw = torch.empty_like(weight, dtype=torch.float32, memory_format=torch.channels_last)
            functions().winograd_filter_gradient(
                *(*_sizes(x), len(weight)), *(at(x), at(dy), at(which), at(dw), threads_for(x))
            )
        if ctx.needs_input_grad[0]:
            if which is not None:
                dy = unpooled(dy, which, (len(x), len(weight), *x.shape[2:]))
            dx = torch.empty_like(x)
            _convolve(dy, weight, dx, is_turned=True)
        return dx, dw, None


def _convolve(
    x: Tensor, weight: Tensor, y: Tensor, which: Tensor | None = None, is_turned: bool = False
) -> None:
    """Write to `y`: with `which` pooled, with `is_turned` by the filters of the gradient of x."""
    num_in, num_out = x.shape[1], weight.shape[is_turned]
    weight = weight.float().contiguous(memory_format=torch.channels_last)
    filters = torch.empty(16 * num_in * num_out, dtype=torch.bfloat16)
    functions().winograd_filters(num_in, num_out, at(weight), is_turned, at(filters))
    functions().winograd_forward(
        *(*_sizes(x), num_out), at(x), at(filters), at(y), at(which), threads_for(x)
    )


def _sizes(x: Tensor) -> tuple[int, int, int, int]:
    """Return images, height, width, channels, as the kernels take them."""
    num_images, num_channels, height, width = x.shape
    return num_images, height, width, num_channels
