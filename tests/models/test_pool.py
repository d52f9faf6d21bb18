"""Our pooling is torch's, to the bit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from normexp import kernels
from normexp.models.pool import MaxPool

needs_compiler = pytest.mark.skipif(kernels.library() is None, reason="no C++ compiler here")


def images(shape: tuple[int, int, int, int], dtype: torch.dtype) -> Tensor:
    """Of few different values, so that many maxima are not alone; channels last."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-3, 4, shape, generator=generator).to(dtype) / 4
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


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
    assert kernels.fits(x)
    y = MaxPool()(x)
    expected = F.max_pool2d(x, 2)
    dy = torch.randn(expected.shape).to(dtype)  # not channels last
    ours, theirs = (torch.autograd.grad(out, x, dy)[0] for out in (y, expected))
    torch.set_num_threads(before)
    assert torch.equal(y, expected)
    assert torch.equal(ours, theirs)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert type(y.grad_fn) is not type(expected.grad_fn)


@needs_compiler
@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_on_top_wherever_it_stands(place: int) -> None:
    x = images((1, 16, 2, 2), torch.float32)
    x.data[0, 3, place // 2, place % 2] = torch.nan
    y = MaxPool()(x)
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
    y = MaxPool()(x)
    assert torch.equal(y, F.max_pool2d(x, 2))
    assert type(y.grad_fn) is type(F.max_pool2d(x, 2).grad_fn)


def test_a_map_too_small_to_be_halved_is_refused_as_torch_does() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        MaxPool()(images((2, 16, 1, 4), torch.float32))


@needs_compiler
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((1, 16, 4, 4), torch.float32)
    with pytest.raises(NotImplementedError, match="the gradient of this pooling's gradient"):
        torch.autograd.grad(MaxPool()(x).square().sum(), x, create_graph=True)
