"""Norms by one C++ kernel: batch norm, group norm, and their mix by a gate for each channel.

The formula and the loops are in `norm.cpp`: two passes over the images forward and two backward.
A ReLU after the norm, and the addition of a shortcut before it, are done in the same passes.
"""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normexp.kernels import calls
from normexp.kernels.calls import How
from normexp.kernels.hooks import is_unseen
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.group import GroupNorm
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm, PlainInstanceNorm
from normexp.norms.mean import MeanNorm
from normexp.norms.running import update_running

WORTH_THE_KERNEL = 65_536  # elements below which torch's own batch norm is faster


class Parts(NamedTuple):
    """What a layer's norm of images is made of; without a gate it is batch or group norm alone."""

    weight: Tensor
    bias: Tensor
    gate: Tensor | None
    batch: nn.BatchNorm2d | None  # the layer with running statistics, if there are batch statistics
    how: How

    def fit(self, num_channels: int) -> bool:
        """Whether the kernel takes them, for so many channels."""
        shape = (num_channels,)
        return all(
            p.is_cpu and p.dtype is torch.float32 and p.shape == shape and p.is_contiguous()
            for p in (self.weight, self.bias, self.gate)
            if p is not None
        )


class FastNorm(nn.Module):
    """A base of norms that goes by the kernel where it takes the images, else by the layer."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name, for who calls by it)
        y = self.by_kernel(input)
        return super().forward(input) if y is None else y

    def by_kernel(
        self, x: Tensor, relu: bool = False, shortcut: Tensor | None = None
    ) -> Tensor | None:
        """Return the norm of `x`, or relu(norm + shortcut); None if the kernel does not take it.

        Maps of one pixel are left to torch, whose layers refuse them where they must.
        """
        if not calls.takes_in_lanes(x):
            return None
        _, num_channels, height, width = shape = x.shape
        if height * width == 1:
            return None
        if shortcut is not None and not (shortcut.shape == shape and shortcut.dtype is x.dtype):
            return None
        parts = self.parts(x)
        if parts is None or not (is_unseen(self._modules.values()) and parts.fit(num_channels)):
            return None
        weight, bias, gate, batch, how = parts
        moments = None if batch is None else weight.new_empty(2, num_channels)
        y: Tensor = _Norm.apply(x, weight, bias, gate, shortcut, moments, how._replace(relu=relu))
        if batch is not None and moments is not None:
            of_batch = num_channels - batch.num_features  # the last channels, if not all
            update_running(batch, *(moments[:, of_batch:] if of_batch else moments))
        return y

    def parts(self, x: Tensor) -> Parts | None:
        """Return what the norm of `x` is made of, or None if it has no kernel in this mode."""
        raise NotImplementedError


class FastBatchNorm(FastNorm, nn.BatchNorm2d):
    """torch's, in training by the kernel."""

    def parts(self, x: Tensor) -> Parts | None:
        if not (_trains(self) and self.affine and x.numel() >= WORTH_THE_KERNEL):
            return None
        return Parts(self.weight, self.bias, None, self, How(x.shape[1], 1, self.eps))


class FastGhostBatchNorm(FastNorm, GhostBatchNorm):
    """Ours, in training by the kernel, where the images fill equal parts or are one."""

    def parts(self, x: Tensor) -> Parts | None:
        num_parts, rest = divmod(len(x), min(self.ghost_size, len(x)))
        if rest or not _trains(self):
            return None
        return Parts(self.weight, self.bias, None, self, How(x.shape[1], num_parts, self.eps))


class FastPlainInstanceNorm(FastNorm, nn.InstanceNorm2d):
    """torch's, by the kernel."""

    def parts(self, x: Tensor) -> Parts | None:
        if self.track_running_stats:
            return None
        num_channels = x.shape[1]
        ones = torch.ones(num_channels, dtype=torch.float32, device=x.device)
        weight, bias = (self.weight, self.bias) if self.affine else (ones, torch.zeros_like(ones))
        return Parts(weight, bias, None, None, How(num_channels, 1, self.eps))


class FastInstanceNorm(FastPlainInstanceNorm, InstanceNorm):
    """Ours, by the kernel."""


class FastOwnPlainInstanceNorm(FastPlainInstanceNorm, PlainInstanceNorm):
    """Ours without scale and shift, by the kernel."""


class FastGroupNorm(FastNorm, GroupNorm):
    """Ours, by the kernel."""

    def parts(self, x: Tensor) -> Parts | None:
        if self.num_channels != x.shape[1]:
            return None
        return Parts(self.weight, self.bias, None, None, How(self.num_groups, 1, self.eps))


class FastGatedNorm(FastNorm, GatedNorm):
    """Ours, in training by the kernel."""

    def parts(self, x: Tensor) -> Parts | None:
        batch = self.batch
        if not _trains(batch):
            return None
        return Parts(self.weight, self.bias, self.gate, batch, How(x.shape[1], 1, batch.eps))


class FastMeanNorm(FastNorm, MeanNorm):
    """Ours, in training by the kernel."""

    def parts(self, x: Tensor) -> Parts | None:
        batch, weight = self.batch, self.weight
        if not _trains(batch):
            return None
        gate = torch.full_like(weight, 0.5)
        return Parts(weight, self.bias, gate, batch, How(x.shape[1], 1, batch.eps))


class FastIBN(FastNorm, IBN):
    """Ours, in training by the kernel, with a gate of 0 for instance norm and 1 for batch norm."""

    def parts(self, x: Tensor) -> Parts | None:
        instance, batch = self.instance, self.batch
        if not _trains(batch):
            return None
        weight = torch.cat([instance.weight, batch.weight])
        bias = torch.cat([instance.bias, batch.bias])
        return Parts(weight, bias, _gate(*self.widths), batch, How(x.shape[1], 1, batch.eps))


def _trains(batch: nn.BatchNorm2d) -> bool:
    return batch.training and torch.is_grad_enabled()


@cache
def _gate(num_instance: int, num_batch: int) -> Tensor:
    return (torch.arange(num_instance + num_batch, device="cpu") >= num_instance).float()


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gate: Tensor | None,
        shortcut: Tensor | None,
        moments: Tensor | None,
        how: How,
    ) -> Tensor:
        """With `moments` (2, C) they become the batch's mean and its unbiased variance."""
        y = torch.empty_like(x)
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        saved = weight.new_empty((3 * len(x) + 2 * how.num_parts) * x.shape[1])
        ctx.how, ctx.moments = how, moments
        call = calls.norm(
            how,
            x,
            {"shortcut": shortcut},
            {"weight": weight, "bias": bias, "gate": gate},
            {"y": y, "moments": moments, "saved": saved},
        )
        calls.call("norm_forward", call)
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
        made = {"dweight": dweight, "dbias": dbias, "dgate": dgate, "dx": dx}
        call = calls.norm(
            ctx.how,
            x,
            {"dy": dy, "y": y},
            {"weight": weight, "bias": bias, "gate": gate},
            made | {"dshortcut": dshortcut, "moments": ctx.moments, "saved": saved},
        )
        calls.call("norm_backward", call)
        return dx, dweight, dbias, dgate, dshortcut, None, None
