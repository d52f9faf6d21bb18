"""Group norm, and its mix with batch norm, in two passes over the images forward and two backward.

The formula and the loops are in `kernels/mixed_norm.cpp`: forward takes moments and then scales
and shifts each channel of each image, backward takes sums and then the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normexp.kernels import at, fits, functions, threads_for


def has_kernel(x: Tensor) -> bool:
    """Whether the functions here can be called with images `x`.

    Maps of one pixel are left to torch, whose layers refuse them where they must.
    """
    return fits(x) and x.shape[2] * x.shape[3] > 1


def rectified(y: Tensor, relu: bool) -> Tensor:
    """Return `y`, changed in place into its ReLU if `relu`: for layers where there is no kernel."""
    return F.relu(y, inplace=True) if relu else y


def group_norm(
    x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float, relu: bool = False
) -> Tensor:
    """Return weight·GN(x) + bias, or its ReLU, in the shape and type of `x` (N, C, H, W).

    `weight` and `bias` are float32 of (C,).
    """
    y: Tensor = _MixedNorm.apply(x, weight, bias, None, None, num_groups, eps, relu)
    return y


def batch_instance_norm(
    x: Tensor, weight: Tensor, bias: Tensor, gate: Tensor | None, eps: float, relu: bool = False
) -> tuple[Tensor, Tensor]:
    """Return weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias or its ReLU, and the batch's moments.

    BN has the statistics of `x` (N, C, H, W), whose shape and type the output has. `weight`,
    `bias` and `gate` are float32 of (C,); without a gate it is batch norm. The moments (2, C) are
    the batch's mean and its unbiased variance, without a gradient.
    """
    moments = torch.empty(2, x.shape[1])
    y: Tensor = _MixedNorm.apply(x, weight, bias, gate, moments, x.shape[1], eps, relu)
    return y, moments


class _MixedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gate: Tensor | None,
        batch_moments: Tensor | None,
        num_groups: int,
        eps: float,
        relu: bool,
    ) -> Tensor:
        num_images, num_channels, height, width = x.shape
        y = torch.empty_like(x)
        saved = torch.empty((3 * num_images + 2) * num_channels)
        ctx.shape = (
            *(x.dtype == torch.bfloat16, relu),
            *(num_images, height * width, num_channels, num_groups),
        )
        ctx.has_batch = batch_moments is not None
        ctx.threads = threads_for(x)
        functions().mixed_norm_forward(
            *ctx.shape,
            *(at(x), at(y), at(weight), at(bias), at(gate), at(batch_moments)),
            *(eps, at(saved), ctx.threads),
        )
        ctx.save_for_backward(x, weight, bias, gate, saved)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():  # torch's `once_differentiable` says so too, but is slower
            raise NotImplementedError("the gradient of this norm's gradient is not there")
        x, weight, bias, gate, saved = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dweight, dbias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        dgate = None if gate is None else torch.empty_like(gate)
        functions().mixed_norm_backward(
            *ctx.shape,
            *(at(dy), at(x), at(dx), at(weight), at(bias), at(gate), ctx.has_batch),
            *(at(saved), at(dweight), at(dbias), at(dgate), ctx.threads),
        )
        return dx, dweight, dbias, dgate, None, None, None, None
