"""2×2 max pooling by a C++ kernel, at the price of reading the maps."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import calls


class FastMaxPool(nn.MaxPool2d):
    """torch's, of 2×2 pixels, in training by the kernel, to the same bits."""

    def forward(self, x: Tensor) -> Tensor:
        is_trained = x.requires_grad and torch.is_grad_enabled()
        if not (is_trained and calls.takes_in_lanes(x) and min(x.shape[2:]) > 1):
            return super().forward(x)  # type: ignore[no-any-return]
        y: Tensor = _MaxPool.apply(x)
        return y


def halves(pool: nn.MaxPool2d) -> bool:
    """Whether `pool` takes the maxima of 2×2 pixels, each pixel once."""
    two = (2, (2, 2), [2, 2])
    return (
        pool.kernel_size in two
        and pool.stride in two
        and pool.padding in (0, (0, 0))
        and pool.dilation in (1, (1, 1))
        and not pool.return_indices
        and not pool.ceil_mode
    )


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        num_images, num_channels, height, width = ctx.shape = x.shape
        pooled = (num_images, num_channels, height // 2, width // 2)
        y = torch.empty(pooled, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        places = torch.empty(y.numel(), dtype=torch.uint8, device=x.device)
        calls.call("max_pool_forward", calls.pool(x, y, places))
        ctx.save_for_backward(places)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("the gradient of this pooling's gradient is not there")
        (places,) = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = torch.empty(
            ctx.shape, dtype=dy.dtype, device=dy.device, memory_format=torch.channels_last
        )
        calls.call("max_pool_backward", calls.pool(dx, dy, places))
        return dx
