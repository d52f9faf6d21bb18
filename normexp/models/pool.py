"""2×2 max pooling at the price of reading the maps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import at, fits, functions, threads_for


class MaxPool(nn.MaxPool2d):
    """torch's, of 2×2 pixels, trained faster on the CPU: (N, C, H, W) to (N, C, H // 2, W // 2)."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        is_trained = x.requires_grad and torch.is_grad_enabled()
        if not (is_trained and fits(x) and min(x.shape[2:]) > 1):
            return torch.as_tensor(super().forward(x))
        y: Tensor = _MaxPool.apply(x)
        return y


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        num_images, num_channels, height, width = ctx.shape = x.shape
        pooled = (num_images, num_channels, height // 2, width // 2)
        y = torch.empty(pooled, dtype=x.dtype, memory_format=torch.channels_last)
        which = torch.empty(y.numel(), dtype=torch.uint8)
        functions().max_pool_forward(
            *(x.dtype == torch.bfloat16, *x.shape), at(x), at(y), at(which), threads_for(x)
        )
        ctx.save_for_backward(which)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("the gradient of this pooling's gradient is not there")
        (which,) = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        return unpooled(dy, which, ctx.shape)


def unpooled(dy: Tensor, which: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the gradient of maps of a `shape`, of that of their maxima and the place of each."""
    dx = torch.empty(shape, dtype=dy.dtype, memory_format=torch.channels_last)
    functions().max_pool_backward(
        *(dx.dtype == torch.bfloat16, *shape), at(dy), at(which), at(dx), threads_for(dx)
    )
    return dx
