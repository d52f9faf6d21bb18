"""3×3 convolutions by Winograd's algorithm, at fewer products than they have terms."""

from typing import Any

import torch
from torch import Tensor, nn

from normexp.kernels import calls, compiled

WORTH_WINOGRAD = 1024
"""Pairs of channels below which torch's convolution of bfloat16 is as fast (16 and 16: 1.4 times
as fast)."""
WORTH_F4 = 48
"""Pixels of a batch, less four for each tile of 4×4 that they need, below which torch's convolution
of float32 is as fast (4 maps of 5×5: 1.2 times as fast)."""
WORTH_F4_ALONE = 192
"""The same of one image, which torch convolves in another way (a map of 8×8: 1.3 times as fast)."""


class WinogradConv2d(nn.Conv2d):
    """torch's, of 3×3 pixels, without bias; by a kernel where there is one that is faster.

    In float32 F(4×4) (`winograd_float32.cpp`) rounds about twice as much as torch's, to 1e-6 of
    the answers' size. In bfloat16 F(2×2) (`winograd.cpp`) rounds twice as much too, to 0.4 %, as
    what it multiplies is rounded after it was transformed. What torch has infinite or NaN is so
    here too, or NaN, and with it the tiles of answers that look at the same pixel. Beyond 1e34 sums
    of F(4×4) may overflow where torch's do not.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.padding_mode == "zeros" and takes(x, self.in_channels, self.out_channels)):
            return super().forward(x)
        if not (self.weight.is_cpu and self.weight.dtype is torch.float32):
            return super().forward(x)
        y: Tensor = _Winograd.apply(x, self.weight)
        return y


def takes(x: Tensor, num_in: int, num_out: int) -> bool:
    """Whether a kernel convolves images `x` of `num_in` channels to `num_out`, and is worth it."""
    if not (calls.takes(x) and x.shape[1] == num_in and num_out % calls.LANES == 0):
        return False
    if x.dtype is torch.float32:
        return (
            num_in % calls.LANES == 0
            and pixels_saved(x) >= (WORTH_F4 if len(x) > 1 else WORTH_F4_ALONE)
            and not torch.is_autocast_enabled("cpu")
        )
    return (
        x.dtype is torch.bfloat16
        and num_in % (calls.LANES if x.requires_grad else 2) == 0
        and num_in * num_out >= WORTH_WINOGRAD
        and hasattr(compiled.library(), "winograd_forward")
    )


def pixels_saved(x: Tensor) -> int:
    """Return the pixels of `x` less those whose products F(4×4) takes: 36 a tile, not 9 a pixel."""
    images, _, height, width = x.shape
    return images * (height * width - 4 * (-(-height // 4) * -(-width // 4)))


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
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    tensors = {"weight": weight, "y": y}
    if x.dtype is torch.bfloat16:
        tensors["filters"] = torch.empty(
            16 * num_in * num_out, dtype=torch.bfloat16, device=x.device
        )
    call = calls.convolution(x, weight.shape, is_turned, **tensors)
    if x.dtype is torch.bfloat16:
        calls.call("winograd_filters", call)
    calls.call(f"{_KERNELS[x.dtype]}_forward", call)
    return y
