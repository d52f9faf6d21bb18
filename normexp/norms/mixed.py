"""Group norm, and its mix with batch norm, in two passes over the images forward and two backward.

The formula and the loops are in `kernels/mixed_norm.cpp`: forward takes moments and then scales
and shifts each channel of each image, backward takes sums and then the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.contracts import ThenReLU
from normexp.kernels import at, fits, functions, threads_for


def has_kernel(x: Tensor) -> bool:
    """Whether the functions here can be called with images `x`.

    Maps of one pixel are left to torch, whose layers refuse them where they must.
    """
    return fits(x) and x.shape[2] * x.shape[3] > 1


def rectified(y: Tensor, then: ThenReLU | None) -> Tensor:
    """Return what comes of `y` by `then`; `y` may change. For layers where there is no kernel."""
    if then is None:
        return y
    return F.relu(y if then.shortcut is None else y + then.shortcut, inplace=True)


def group_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    num_groups: int,
    eps: float,
    then: ThenReLU | None = None,
) -> Tensor:
    """Return weight·GN(x) + bias, or what comes of it, as `x` (N, C, H, W) in shape and type.

    `weight` and `bias` are float32 of (C,).
    """
    y: Tensor = _MixedNorm.apply(x, weight, bias, None, *_parts(then), None, num_groups, eps)
    return y


def batch_instance_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gate: Tensor | None,
    eps: float,
    then: ThenReLU | None = None,
) -> tuple[Tensor, Tensor]:
    """Return weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias, or what comes of it, and the moments.

    BN has the statistics of `x` (N, C, H, W), whose shape and type the output has. `weight`,
    `bias` and `gate` are float32 of (C,); without a gate it is batch norm. The moments (2, C) are
    the batch's mean and its unbiased variance, without a gradient.
    """
    moments = torch.empty(2, x.shape[1])
    parts = (gate, *_parts(then), moments)
    y: Tensor = _MixedNorm.apply(x, weight, bias, *parts, x.shape[1], eps)
    return y, moments


def _parts(then: ThenReLU | None) -> tuple[bool, Tensor | None]:
    return (False, None) if then is None else (True, then.shortcut)


class _MixedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gate: Tensor | None,
        relu: bool,
        shortcut: Tensor | None,
        batch_moments: Tensor | None,
        num_groups: int,
        eps: float,
    ) -> Tensor:
        num_images, num_channels, height, width = x.shape
        y = torch.empty_like(x)
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        saved = torch.empty((3 * num_images + 2) * num_channels)
        ctx.shape = (
            *(x.dtype == torch.bfloat16, relu),
            *(num_images, height * width, num_channels, num_groups),
        )
        ctx.has_batch = batch_moments is not None
        ctx.threads = threads_for(x)
        functions().mixed_norm_forward(
            *ctx.shape,
            *(at(x), at(shortcut), at(y), at(weight), at(bias), at(gate), at(batch_moments)),
            *(eps, at(saved), ctx.threads),
        )
        ctx.save_for_backward(x, None if shortcut is None else y, weight, bias, gate, saved)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():  # torch's `once_differentiable` says so too, but is slower
            raise NotImplementedError("the gradient of this norm's gradient is not there")
        x, y, weight, bias, gate, saved = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dweight, dbias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        dshortcut = None if y is None else torch.empty_like(x)
        dgate = None if gate is None else torch.empty_like(gate)
        functions().mixed_norm_backward(
            *ctx.shape,
            *(at(dy), at(x), at(y), at(dx), at(dshortcut), at(weight), at(bias), at(gate)),
            *(ctx.has_batch, at(saved), at(dweight), at(dbias), at(dgate), ctx.threads),
        )
        return dx, dweight, dbias, dgate, None, dshortcut, None, None, None
