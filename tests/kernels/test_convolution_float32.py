"""Winograd's convolution of float32 is torch's, but for twice the rounding."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from helpers.convolutions import accelerated, expected, is_by_kernel, relative_error
from helpers.needs import needs_compiler
from torch import Tensor, nn

from normexp.kernels import calls
from normexp.models.padding import PaddingMode
from normexp.norms.weight_std import standardise_filters

LAYOUT = torch.channels_last
SHAPES = [
    (1, 16, 16, (17, 19)),
    (2, 32, 48, (8, 8)),
    (4, 128, 128, (4, 4)),  # fewer tiles than a block has
    (5, 64, 32, (7, 11)),
    (9, 48, 80, (13, 6)),
    (40, 16, 64, (3, 3)),
    (3, 64, 64, (31, 33)),  # several blocks for each of two threads
]


def images(shape: tuple[int, int, int, int], seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=LAYOUT)


def conv_of(num_in: int, num_out: int) -> nn.Conv2d:
    torch.manual_seed(1)
    return accelerated(
        nn.Conv2d(num_in, num_out, 3, padding=1, bias=False).to(memory_format=LAYOUT)
    )


def answer_and_gradients(conv: nn.Conv2d, x: Tensor, dy: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = conv(x)
    assert is_by_kernel(y)
    return [y.detach(), *torch.autograd.grad(y, (x, conv.weight), dy)]


@pytest.fixture
def threads_stay() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@needs_compiler
@pytest.mark.parametrize(("num_images", "num_in", "num_out", "size"), SHAPES)
def test_answers_and_gradients_are_off_by_a_millionth(
    num_images: int, num_in: int, num_out: int, size: tuple[int, int]
) -> None:
    x, conv = images((num_images, num_in, *size)), conv_of(num_in, num_out)
    dy = images((num_images, num_out, *size), seed=2)
    ours = answer_and_gradients(conv, x, dy.contiguous())  # not channels last
    for found, exact in zip(ours, expected(x, conv, dy), strict=True):
        assert found.dtype == torch.float32
        assert relative_error(found, exact) < 2e-6
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


@needs_compiler
@pytest.mark.usefixtures("threads_stay")
@pytest.mark.parametrize(("num_images", "num_in", "num_out", "size"), SHAPES)
def test_one_thread_and_two_give_the_same_bits(
    num_images: int, num_in: int, num_out: int, size: tuple[int, int]
) -> None:
    x, conv = images((num_images, num_in, *size)), conv_of(num_in, num_out)
    dy = images((num_images, num_out, *size), seed=2)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(answer_and_gradients(conv, x, dy))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@needs_compiler
def test_an_image_is_convolved_alike_among_any_others() -> None:
    x, conv = images((40, 32, 9, 9)), conv_of(32, 64)
    pairs = torch.cat([conv(x[i : i + 2]) for i in range(0, 40, 2)])
    assert torch.equal(conv(x), pairs)
    with torch.no_grad():
        assert torch.equal(conv(x), pairs)


@needs_compiler
@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_spoils_the_tiles_that_look_at_it(value: float) -> None:
    x, conv = images((2, 32, 16, 16)), conv_of(32, 64)
    clean = conv(x)
    x[1, 5, 7, 6] = value  # seen by the pixels (6, 5) to (8, 7), of tiles of 4×4
    spoilt, theirs = conv(x), F.conv2d(x, conv.weight, padding=1)
    assert not spoilt[~theirs.isfinite()].isfinite().any()
    others = torch.ones(16, 16, dtype=torch.bool)
    others[4:12, 4:8] = False
    assert torch.equal(spoilt[0], clean[0])
    assert torch.equal(spoilt[1][:, others], clean[1][:, others])


@needs_compiler
@pytest.mark.parametrize("size", [1e-30, 1e30, 1e34])
def test_numbers_of_any_size_are_convolved_as_precisely(size: float) -> None:
    x, conv = size * images((4, 64, 16, 16)), conv_of(64, 64)
    dy = images((4, 64, 16, 16), seed=2)
    ours = answer_and_gradients(conv, x, dy)
    for found, exact in zip(ours, expected(x, conv, dy), strict=True):
        assert relative_error(found / size, exact / size) < 2e-6


@needs_compiler
def test_denormal_numbers_stay_denormal() -> None:
    x, conv = 1e-41 * images((4, 32, 16, 16)), conv_of(32, 32)
    theirs = F.conv2d(x, conv.weight, padding=1)
    torch.testing.assert_close(conv(x), theirs, rtol=0, atol=1e-42)
    assert theirs.abs().max() > 1e-41


@pytest.mark.parametrize(
    ("x", "num_out", "padding_mode"),
    [
        (images((4, 24, 8, 8)), 64, "zeros"),
        (images((4, 3, 8, 8)), 64, "zeros"),
        (images((4, 64, 8, 8)), 40, "zeros"),
        (images((4, 32, 8, 8)).contiguous(), 64, "zeros"),
        (images((4, 32, 8, 8)).double(), 64, "zeros"),
        (images((0, 32, 8, 8)), 64, "zeros"),
        (images((4, 32, 5, 5)), 64, "zeros"),
        (images((32, 32, 2, 2)), 64, "zeros"),
        (images((1, 32, 8, 8)), 64, "zeros"),
        (images((1, 32, 16, 16))[0], 64, "zeros"),
        (images((4, 32, 8, 8)), 64, "reflect"),
    ],
    ids=[
        *("channels", "colours", "filters", "layout", "float64", "none", "few tiles"),
        *("maps of 2×2", "one image", "unbatched", "padding"),
    ],
)
def test_what_the_kernel_does_not_take_is_left_to_torch(
    x: Tensor, num_out: int, padding_mode: PaddingMode
) -> None:
    theirs = nn.Conv2d(x.shape[-3], num_out, 3, padding=1, bias=False, padding_mode=padding_mode)
    theirs.to(x.dtype)
    conv = accelerated(copy.deepcopy(theirs))
    y = conv(x)
    assert not is_by_kernel(y)
    assert torch.equal(y, theirs(x))


def test_under_autocast_images_of_float32_are_torchs() -> None:
    conv, x = conv_of(32, 32), images((4, 32, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, F.conv2d(x, conv.weight, padding=1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_filters_of_another_type_are_refused_as_by_torch(dtype: torch.dtype) -> None:
    conv = conv_of(32, 32).to(dtype)
    with pytest.raises(RuntimeError, match="type"):
        conv(images((4, 32, 8, 8)))


@needs_compiler
def test_filters_of_another_layout_are_taken_too() -> None:
    conv, x, dy = conv_of(32, 48), images((4, 32, 8, 8)), images((4, 48, 8, 8), seed=2)
    found = answer_and_gradients(conv, x, dy)
    conv.weight.data = conv.weight.data.contiguous()
    again = answer_and_gradients(conv, x, dy)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


@needs_compiler
def test_standardised_filters_are_convolved_too() -> None:
    x, conv = images((4, 32, 8, 8)), nn.Conv2d(32, 48, 3, padding=1, bias=False)
    standardise_filters(conv, eps=1e-5)
    accelerated(conv)
    y = conv(x)
    assert is_by_kernel(y)
    assert relative_error(y, F.conv2d(x.double(), conv.weight.double(), padding=1)) < 2e-6


@needs_compiler
def test_only_gradients_that_are_asked_for_are_there() -> None:
    conv, x = conv_of(32, 32), images((4, 32, 8, 8))
    conv(x).sum().backward()
    assert x.grad is None
    weight_gradient = conv.weight.grad
    conv.weight.requires_grad_(False).grad = None
    conv(x.requires_grad_()).sum().backward()
    assert conv.weight.grad is None
    assert weight_gradient is not None
    assert x.grad is not None


@needs_compiler
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((4, 32, 8, 8)).requires_grad_()
    with pytest.raises(NotImplementedError, match="the gradient of this convolution's gradient"):
        torch.autograd.grad(conv_of(32, 32)(x).square().sum(), x, create_graph=True)


@pytest.mark.parametrize(
    ("x", "filters"),
    [
        (images((1, 24, 8, 8)), (16, 24, 3, 3)),
        (images((1, 16, 8, 8)), (24, 16, 3, 3)),
        (images((1, 16, 8, 8)), (16, 16, 5, 5)),
        (images((1, 16, 8, 8)).double(), (16, 16, 3, 3)),
    ],
    ids=["in", "out", "5×5", "float64"],
)
def test_a_call_for_what_the_kernel_cannot_do_is_refused(
    x: Tensor, filters: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match="no kernel for"):
        calls.convolution(x, filters)
