"""Batch norm with other moments than its running ones, for each part of a batch its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normexp.norms.batch_frozen import FrozenBatchNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.renorm import BatchRenorm

Moments = tuple[Tensor, Tensor]
PLAIN = (nn.modules.batchnorm._BatchNorm, FrozenBatchNorm, BatchRenorm, GhostBatchNorm)
"""Classes whose evaluation is torch's batch norm."""
TINY = 1e-12  # a variance far below any eps of a norm


def moments_of_parts(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return means and biased variances (P, C) of each `size` images in a row of `x` (N, C, H, W).

    The last part may have fewer images.
    """
    pairs = [_mean_and_inverse_std(part) for part in torch.split(x, size)]
    means, inverse_stds = (torch.stack(each) for each in zip(*pairs, strict=True))
    return means, (inverse_stds**-2 - TINY).clamp_min(0)


@torch.no_grad()
def _mean_and_inverse_std(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return those of the channels of `x`, each (C,), rounded as torch's batch norm keeps them.

    It is five times as fast as var_mean, and takes 1×1 maps. Results are compared with those of
    earlier versions to the bit.
    """
    is_dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    if is_dense and x.dtype == torch.float32 and x.device.type == "cpu":
        # What batch norm begins with, without its output.
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        return mean, (1 / (variance.double() + TINY).sqrt()).to(mean.dtype)
    one = torch.ones(x.shape[1], dtype=_wide(x), device=x.device)
    _, mean, inverse_std = torch.native_batch_norm(x, one, 0 * one, None, None, True, 0.0, TINY)
    return mean, inverse_std


def evaluate_parts(
    layer: nn.BatchNorm2d, means: Tensor, variances: Tensor, x: Tensor, size: int
) -> Tensor:
    """Evaluate each `size` images of `x` with moments (P, C) of their own."""
    first, *others = torch.split(x, size)
    y = evaluate(layer, (means[0], variances[0]), first)
    if not others:
        return y
    if _formula(type(layer)) in PLAIN:
        together = _batch_norm(layer, means, variances, x, size)
        if torch.equal(together[: len(first)], y):
            return together
    # A layer with a formula of its own, another processor's rounding, or a kernel's.
    moments = zip(means[1:], variances[1:], strict=True)
    parts = zip(moments, others, strict=True)
    return torch.cat([y, *(evaluate(layer, each, part) for each, part in parts)])


def _formula(layer: type[nn.Module]) -> type[nn.Module]:
    """Return the class whose formula a layer of this class has: a kernel has that of its base."""
    own = (each for each in layer.__mro__ if not each.__module__.startswith("normexp.kernels."))
    return next(each for each in own if "forward" in vars(each))


def _batch_norm(
    layer: nn.BatchNorm2d, means: Tensor, variances: Tensor, x: Tensor, size: int
) -> Tensor:
    """Return batch norm's evaluation, all parts at once, rounded as torch rounds it."""
    scale = (variances.to(_wide(x)) + layer.eps).rsqrt()
    shift = torch.zeros_like(scale)
    if layer.affine:
        scale, shift = scale * layer.weight, layer.bias.expand_as(scale)
    shift = torch.addcmul(shift, means.to(_wide(x)), scale, value=-1)
    scale, shift = (v.repeat_interleave(size, 0)[: len(x), :, None, None] for v in (scale, shift))
    return torch.addcmul(shift, x, scale).to(x.dtype)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def evaluate(layer: nn.BatchNorm2d, moments: Moments, x: Tensor) -> Tensor:
    before = layer.running_mean, layer.running_var
    layer.running_mean, layer.running_var = (moment.to(_wide(x)) for moment in moments)
    try:
        return type(layer).forward(layer, x)
    finally:
        layer.running_mean, layer.running_var = before
