"""The pooling that has a kernel is torch's, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.needs import needs_compiler
from torch import Tensor, nn

from normexp.kernels import accelerate


def images(shape: tuple[int, int, int, int], dtype: torch.dtype) -> Tensor:
    """Of few different values, so that many maxima are not alone; channels last."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-3, 4, shape, generator=generator).to(dtype) / 4
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def max_pool(*arguments: Any, **settings: Any) -> nn.Module:
    pool = nn.MaxPool2d(*arguments, **settings)
    accelerate(pool)
    return pool


def is_by_kernel(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "_MaxPoolBackward"


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(2, 2), (3, 2), (2, 5), (31, 31), (16, 32)])
def test_values_and_gradients_are_torchs(
    size: tuple[int, int], dtype: torch.dtype, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    x = images((5, 48, *size), dtype)
    y = max_pool(2)(x)
    expected = F.max_pool2d(x, 2)
    dy = torch.randn(expected.shape).to(dtype)  # not channels last
    ours, theirs = (torch.autograd.grad(out, x, dy)[0] for out in (y, expected))
    torch.set_num_threads(before)
    assert is_by_kernel(y)
    assert torch.equal(y, expected)
    assert torch.equal(ours, theirs)
    assert y.is_contiguous(memory_format=torch.channels_last)


@needs_compiler
@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_on_top_wherever_it_stands(place: int) -> None:
    x = images((1, 16, 2, 2), torch.float32)
    x.data[0, 3, place // 2, place % 2] = torch.nan
    y = max_pool(2)(x)
    assert y[0, 3].isnan().all()
    assert y.isnan().sum() == 1
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient[0, 3].flatten().tolist() == [float(k == place) for k in range(4)]


@pytest.mark.parametrize(
    "x",
    [
        images((2, 24, 4, 4), torch.float32),
        images((2, 16, 4, 4), torch.float64),
        images((2, 16, 4, 4), torch.float32).detach().contiguous().requires_grad_(),
    ],
    ids=["channels", "float64", "layout"],
)
def test_what_the_kernel_does_not_take_is_left_to_torch(x: Tensor) -> None:
    y = max_pool(2)(x)
    assert not is_by_kernel(y)
    assert torch.equal(y, F.max_pool2d(x, 2))


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "stride": 1},
        {"kernel_size": 2, "padding": 1},
        {"kernel_size": 2, "dilation": 2},
        {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": (2, 4)},
    ],
    ids=str,
)
def test_another_pooling_is_torchs(settings: dict[str, Any]) -> None:
    x = images((2, 16, 7, 7), torch.float32)
    assert torch.equal(max_pool(**settings)(x), nn.MaxPool2d(**settings)(x))


def test_a_map_too_small_to_be_halved_is_refused_as_torch_does() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        max_pool(2)(images((2, 16, 1, 4), torch.float32))


@needs_compiler
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((1, 16, 4, 4), torch.float32)
    with pytest.raises(NotImplementedError, match="the gradient of this pooling's gradient"):
        torch.autograd.grad(max_pool(2)(x).square().sum(), x, create_graph=True)
