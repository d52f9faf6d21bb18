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
    """Return what comes of `y`, which may be changed: for layers where there is no kernel."""
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
    """Return weight·GN(x) + bias, then its ReLU, in the shape and type of `x` (N, C, H, W).

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
    """Return weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias, then its ReLU, and the moments.

    BN has the statistics of `x` (N, C, H, W), whose shape and type the output has. `weight`,
    `bias` and `gate` are float32 of (C,); without a gate it is batch norm. The moments (2, C) are
    the batch's mean and its unbiased variance, without a gradient.
    """
    moments = torch.empty(2, x.shape[1])
    args = (x, weight, bias, gate, *_parts(then), moments, x.shape[1], eps)
    y: Tensor = _MixedNorm.apply(*args)
    return y, moments


STAYS, RELU, SHORTCUT_RELU = range(3)
"""What becomes of the norm, as the kernels call it."""


def _parts(then: ThenReLU | None) -> tuple[int, Tensor | None]:
    if then is None:
        return STAYS, None
    if then.shortcut is None:
        return RELU, None
    return SHORTCUT_RELU, then.shortcut.contiguous(memory_format=torch.channels_last)


class _MixedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gate: Tensor | None,
        after: int,
        shortcut: Tensor | None,
        batch_moments: Tensor | None,
        num_groups: int,
        eps: float,
    ) -> Tensor:
        num_images, num_channels, height, width = x.shape
        y = torch.empty_like(x)
        saved = torch.empty((3 * num_images + 2) * num_channels)
        ctx.shape = (
            *(x.dtype == torch.bfloat16, after),
            *(num_images, height * width, num_channels, num_groups),
        )
        ctx.has_batch = batch_moments is not None
        ctx.threads = threads_for(x)
        functions().mixed_norm_forward(
            *ctx.shape,
            *(at(x), at(shortcut), at(y), at(weight), at(bias), at(gate), at(batch_moments)),
            *(eps, at(saved), ctx.threads),
        )
        has_shortcut = shortcut is not None
        ctx.save_for_backward(x, y if has_shortcut else None, weight, bias, gate, saved)
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
