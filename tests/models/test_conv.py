"""Winograd's convolution is a convolution: exactly where its arithmetic is exact."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp import kernels
from normexp.models.conv import Conv3x3, conv_and_pool
from normexp.models.padding import PaddingMode
from normexp.models.pool import MaxPool


def has_kernel() -> bool:
    return kernels.fits_winograd(images((1, 32, 4, 4)), 32)


def images(shape: tuple[int, int, int, int], whole: bool = False, seed: int = 0) -> Tensor:
    """In bfloat16, channels last; `whole` numbers from −3 to 3 lose nothing in Winograd's sums."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    x = (2 * x).round().clamp(-3, 3) if whole else x
    return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def conv_of(num_in: int, num_out: int, whole: bool = False) -> Conv3x3:
    """Multiples of 4 stay whole: Winograd's filters are quarters of sums."""
    torch.manual_seed(1)
    conv = Conv3x3(num_in, num_out).to(memory_format=torch.channels_last)
    conv.weight.data.normal_()
    if whole:
        conv.weight.data.copy_(4 * conv.weight.data.round().clamp(-2, 2))
    return conv


def expected(x: Tensor, conv: Conv3x3, dy: Tensor, is_pooled: bool) -> list[Tensor]:
    """Answers, gradient of the images and gradient of the filters in float64."""
    x, weight = x.detach().double().requires_grad_(), conv.weight.detach().double().requires_grad_()
    y = F.conv2d(x, weight, padding=1)
    if is_pooled:  # the first of equals is decided in the type that the answers have
        where = F.max_pool2d(y.bfloat16().float(), 2, return_indices=True)[1]
        y = y.flatten(2).gather(2, where.flatten(2)).view(where.shape)
    return [y.detach(), *torch.autograd.grad(y, (x, weight), dy.double())]


needs_kernel = pytest.mark.skipif(not has_kernel(), reason="no AVX-512 bf16 or no compiler here")


@needs_kernel
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("is_pooled", [False, True])
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
    num_images: int, num_in: int, num_out: int, size: tuple[int, int], is_pooled: bool, threads: int
) -> None:
    x = images((num_images, num_in, *size), whole=True).requires_grad_()
    conv = conv_of(num_in, num_out, whole=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    y = conv_and_pool(x, conv, MaxPool()) if is_pooled else conv(x)
    dy = images(tuple(y.shape), whole=True, seed=2)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy.contiguous())]  # not channels last
    torch.set_num_threads(before)
    assert type(y.grad_fn).__name__ == "_WinogradBackward"
    exact = expected(x, conv, dy, is_pooled)
    for got, want, dtype in zip(ours, exact, (torch.bfloat16,) * 2 + (torch.float32,), strict=True):
        assert got.dtype == dtype
        assert torch.equal(got, want.to(dtype))


@needs_kernel
def test_other_numbers_are_off_by_half_a_percent() -> None:
    x, conv = images((8, 64, 15, 15)).requires_grad_(), conv_of(64, 64)
    y = conv(x)
    dy = images(tuple(y.shape), seed=2)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy)]
    for got, want in zip(ours, expected(x, conv, dy, is_pooled=False), strict=True):
        error = (got.double() - want).square().mean() / want.square().mean()
        assert error.sqrt() < 0.005


@needs_kernel
def test_pooled_in_one_pass_or_two_the_bits_are_the_same() -> None:
    x, conv, pool = images((3, 32, 15, 14)).requires_grad_(), conv_of(32, 48), MaxPool()
    joined = conv_and_pool(x, conv, pool)
    seen: list[Tensor] = []
    conv.register_forward_hook(lambda module, inputs, y: seen.append(y))
    apart = conv_and_pool(x, conv, pool)
    assert seen[0].shape == (3, 48, 15, 14)
    assert torch.equal(joined, apart)
    ours, theirs = (torch.autograd.grad(y.float().square().sum(), x)[0] for y in (joined, apart))
    assert torch.equal(ours, theirs)


@needs_kernel
def test_an_image_is_convolved_alike_in_any_company() -> None:
    x, conv = images((40, 32, 9, 9)), conv_of(32, 64)
    alone = torch.cat([conv(image[None]) for image in x])
    assert torch.equal(conv(x), alone)
    x[1, 5, 4, 4] = torch.inf
    spoilt = conv(x)
    assert torch.equal(spoilt[[0, *range(2, 40)]], alone[[0, *range(2, 40)]])
    assert not spoilt[1, :, 3:6, 3:6].isfinite().any()


@needs_kernel
def test_images_without_a_gradient_need_even_channels_only() -> None:
    x, conv = images((3, 22, 8, 8), whole=True), conv_of(22, 48, whole=True)
    y = conv(x)
    dy = images(tuple(y.shape), whole=True, seed=2)
    (gradient,) = torch.autograd.grad(y, conv.weight, dy)
    exact = expected(x, conv, dy, is_pooled=False)
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
        (images((2, 32, 4, 4)).float(), 64, "zeros"),
        (images((0, 32, 4, 4)), 64, "zeros"),
        (images((2, 32, 4, 4)), 64, "reflect"),
    ],
    ids=["channels", "odd", "filters", "few", "layout", "float32", "none", "padding"],
)
def test_what_the_kernel_does_not_take_is_left_to_torch(
    x: Tensor, num_out: int, padding_mode: PaddingMode
) -> None:
    torch.manual_seed(0)
    conv = Conv3x3(x.shape[1], num_out)
    conv.padding_mode = padding_mode
    theirs = nn.Conv2d(x.shape[1], num_out, 3, padding=1, bias=False, padding_mode=padding_mode)
    theirs.load_state_dict(conv.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), theirs(x))
        assert torch.equal(conv_and_pool(x, conv, MaxPool()), F.max_pool2d(theirs(x), 2))


@needs_kernel
def test_another_pooling_is_done_after_it() -> None:
    x, conv = images((2, 32, 8, 8)), conv_of(32, 32)
    assert torch.equal(conv_and_pool(x, conv, nn.AvgPool2d(2)), F.avg_pool2d(conv(x), 2))
    with pytest.raises(RuntimeError, match="too small"):
        conv_and_pool(images((2, 32, 1, 8)), conv, MaxPool())


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_filters_of_another_type_or_layout_are_taken_too(dtype: torch.dtype) -> None:
    x, conv = images((2, 32, 8, 8), whole=True).requires_grad_(), conv_of(32, 48, whole=True)
    dy = images((2, 48, 8, 8), whole=True, seed=2)
    exact = expected(x, conv, dy, is_pooled=False)
    conv.to(dtype)
    conv.weight.data = conv.weight.data.contiguous()
    y = conv(x)
    ours = [y, *torch.autograd.grad(y, (x, conv.weight), dy)]
    for got, want, kind in zip(ours, exact, (torch.bfloat16,) * 2 + (dtype,), strict=True):
        assert got.dtype == kind
        assert torch.equal(got, want.to(kind))


@pytest.mark.parametrize("library", [None, object()], ids=["compiler", "bfloat16"])
def test_without_a_compiler_or_instructions_torch_does_the_work(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "library", lambda: library)
    assert not has_kernel()


@needs_kernel
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((1, 32, 4, 4)).requires_grad_()
    with pytest.raises(NotImplementedError, match="the gradient of this convolution's gradient"):
        torch.autograd.grad(conv_of(32, 32)(x).square().sum(), x, create_graph=True)
