"""Winograd's convolution of bfloat16 is a convolution: exactly where its arithmetic is exact."""

from __future__ import annotations

import copy
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from helpers.convolutions import accelerated, expected, is_by_kernel, relative_error
from helpers.needs import needs_winograd
from torch import Tensor, nn

from normexp.kernels import accelerate
from normexp.norms.weight_std import standardise_filters

LAYOUT = torch.channels_last


def images(shape: tuple[int, int, int, int], whole: bool = False, seed: int = 0) -> Tensor:
    """In bfloat16, channels last; `whole` numbers from −3 to 3 lose nothing in Winograd's sums."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    x = (2 * x).round().clamp(-3, 3) if whole else x
    return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def conv_of(num_in: int, num_out: int, whole: bool = False) -> nn.Conv2d:
    """Multiples of 4 stay whole: Winograd's filters are quarters of sums."""
    torch.manual_seed(1)
    conv = nn.Conv2d(num_in, num_out, 3, padding=1, bias=False).to(memory_format=LAYOUT)
    conv.weight.data.normal_()
    if whole:
        conv.weight.data.copy_(4 * conv.weight.data.round().clamp(-2, 2))
    return accelerated(conv)


@needs_winograd
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("num_images", "num_in", "num_out", "size"),
    [
        (1, 32, 32, (2, 2)),
        (3, 48, 80, (7, 4)),  # filters in blocks of four vectors and one
        (5, 64, 112, (5, 9)),  # of four and three; two blocks of tiles
        (50, 16, 64, (3, 3)),
        (2, 96, 64, (31, 31)),  # several blocks for each of two threads
    ],
)
def test_whole_numbers_are_convolved_exactly(
    num_images: int, num_in: int, num_out: int, size: tuple[int, int], threads: int
) -> None:
    x = images((num_images, num_in, *size), whole=True).requires_grad_()
    conv = conv_of(num_in, num_out, whole=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    y = conv(x)
    dy = images(tuple(y.shape), whole=True, seed=2)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy.contiguous())]  # not channels last
    torch.set_num_threads(before)
    assert is_by_kernel(y)
    exact = expected(x, conv, dy)
    for got, want, dtype in zip(ours, exact, (torch.bfloat16,) * 2 + (torch.float32,), strict=True):
        assert got.dtype == dtype
        assert torch.equal(got, want.to(dtype))


@needs_winograd
def test_other_numbers_are_off_by_half_a_percent() -> None:
    x, conv = images((8, 64, 15, 15)).requires_grad_(), conv_of(64, 64)
    y = conv(x)
    dy = images(tuple(y.shape), seed=2)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy)]
    for got, want in zip(ours, expected(x, conv, dy), strict=True):
        assert relative_error(got, want) < 0.005


@needs_winograd
def test_an_image_is_convolved_alike_in_any_company() -> None:
    x, conv = images((40, 32, 9, 9)), conv_of(32, 64)
    alone = torch.cat([conv(image[None]) for image in x])
    assert torch.equal(conv(x), alone)
    x[1, 5, 4, 4] = torch.inf
    spoilt = conv(x)
    assert torch.equal(spoilt[[0, *range(2, 40)]], alone[[0, *range(2, 40)]])
    assert not spoilt[1, :, 3:6, 3:6].isfinite().any()


@needs_winograd
def test_images_without_a_gradient_need_even_channels_only() -> None:
    x, conv = images((3, 22, 8, 8), whole=True), conv_of(22, 48, whole=True)
    y = conv(x)
    dy = images(tuple(y.shape), whole=True, seed=2)
    (gradient,) = torch.autograd.grad(y, conv.weight, dy)
    exact = expected(x, conv, dy)
    assert torch.equal(y, exact[0].bfloat16())
    assert torch.equal(gradient, exact[2].float())


@pytest.mark.parametrize(
    ("x", "num_out", "padding_mode"),
    [
        (images((2, 24, 4, 4)).requires_grad_(), 64, "zeros"),
        (images((2, 33, 4, 4)), 64, "zeros"),
        (images((2, 64, 4, 4)), 40, "zeros"),
        (images((2, 16, 4, 4)), 48, "zeros"),
        (images((2, 32, 4, 4)).contiguous(), 64, "zeros"),
        (images((4, 32, 8, 8)).float(), 64, "zeros"),
        (images((0, 32, 4, 4)), 64, "zeros"),
        (images((2, 32, 4, 4)), 64, "reflect"),
    ],
    ids=["channels", "odd", "filters", "few", "layout", "float32", "none", "padding"],
)
def test_what_the_kernel_does_not_take_is_left_to_torch(
    x: Tensor, num_out: int, padding_mode: Literal["zeros", "reflect"]
) -> None:
    theirs = nn.Conv2d(x.shape[1], num_out, 3, padding=1, bias=False, padding_mode=padding_mode)
    conv = accelerated(copy.deepcopy(theirs))
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
        assert not is_by_kernel(y)
        assert torch.equal(y, theirs(x))


@pytest.mark.parametrize(
    "settings",
    [{"bias": True}, {"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": 0}],
    ids=str,
)
def test_another_convolution_is_torchs(settings: dict[str, Any]) -> None:
    theirs = nn.Conv2d(64, 64, 3, **{"padding": 1, "bias": False, **settings})
    conv, x = accelerated(copy.deepcopy(theirs)), images((2, 64, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), theirs(x))


def test_a_convolution_outside_of_our_blocks_is_torchs() -> None:
    conv, x = nn.Conv2d(64, 64, 3, padding=1, bias=False), images((2, 64, 8, 8))
    accelerate(conv)
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_by_kernel(conv(x))


@needs_winograd
def test_standardised_filters_are_convolved_too() -> None:
    x = images((2, 32, 8, 8))
    conv = nn.Conv2d(32, 48, 3, padding=1, bias=False)
    standardise_filters(conv, eps=1e-5)
    accelerated(conv)
    y = conv(x)
    assert is_by_kernel(y)
    want = F.conv2d(x.double(), conv.weight.double(), padding=1)
    assert relative_error(y, want) < 0.005


@needs_winograd
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_filters_of_another_type_or_layout_are_taken_too(dtype: torch.dtype) -> None:
    x, conv = images((2, 32, 8, 8), whole=True).requires_grad_(), conv_of(32, 48, whole=True)
    dy = images((2, 48, 8, 8), whole=True, seed=2)
    exact = expected(x, conv, dy)
    conv.to(dtype)
    conv.weight.data = conv.weight.data.contiguous()
    y = conv(x)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy)]
    for got, want, kind in zip(ours, exact, (torch.bfloat16,) * 2 + (dtype,), strict=True):
        assert got.dtype == kind
        assert torch.equal(got, want.to(kind))


@needs_winograd
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((1, 32, 4, 4)).requires_grad_()
    with pytest.raises(NotImplementedError, match="the gradient of this convolution's gradient"):
        torch.autograd.grad(conv_of(32, 32)(x).square().sum(), x, create_graph=True)
