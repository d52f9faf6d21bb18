"""The layers that have kernels, on images that the kernels take, against formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from normexp import kernels
from normexp.contracts import ThenReLU
from normexp.norms.batch import BatchNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.group import GroupNorm
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm
from normexp.norms.mean import MeanNorm
from normexp.norms.mixed import has_kernel

from . import reference as ref

C = 80  # one block of four vectors and one of a single vector
EPS = ref.EPS
LAYERS: dict[str, tuple[Callable[[], nn.Module], ref.Reference]] = {
    "batch": (lambda: BatchNorm(C, eps=EPS, momentum=0.1), ref.batch),
    "instance": (lambda: InstanceNorm(C, eps=EPS), ref.instance),
    "group": (lambda: GroupNorm(C, num_groups=ref.NUM_GROUPS, eps=EPS), ref.group),
    "layer": (lambda: GroupNorm(C, num_groups=1, eps=EPS), ref.layer),
    "gated": (lambda: GatedNorm(C, eps=EPS, momentum=0.1), ref.gated),
    "mean": (lambda: MeanNorm(C, eps=EPS, momentum=0.1), ref.mean),
    "ibn": (lambda: IBN(C, instance_fraction=0.3, eps=EPS, momentum=0.1), ref.ibn),
}
needs_compiler = pytest.mark.skipif(kernels.library() is None, reason="no C++ compiler here")


def used_layer(name: str) -> nn.Module:
    torch.manual_seed(1)
    layer = LAYERS[name][0]()
    for parameter in layer.parameters():
        parameter.data.add_(0.4 * torch.randn_like(parameter))
    return layer


def images(
    shape: tuple[int, int, int, int], dtype: torch.dtype, mean: float = 1.0, seed: int = 2
) -> Tensor:
    """Channels of unlike mean and spread, channels last."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.5, 2, shape[1]).reshape(-1, 1, 1)
    x = (torch.randn(shape, generator=generator) * spread + mean * spread.flip(0)).to(dtype)
    return x.contiguous(memory_format=torch.channels_last)


def close(ours: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal to `tolerance` times the largest value."""
    error = (ours.double() - expected).abs().max() / expected.abs().max()
    assert error < tolerance, f"off by {error:.1e} of the largest"


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(2, 1, 2), (3, 5, 3), (7, 32, 32), (64, 4, 4)])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward_are_the_formula(
    name: str, size: tuple[int, int, int], dtype: torch.dtype, threads: int
) -> None:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    layer, reference = used_layer(name), LAYERS[name][1]
    x = images((size[0], C, *size[1:]), dtype).requires_grad_()
    dy = images((size[0], C, *size[1:]), dtype, mean=0.2, seed=3)
    assert has_kernel(x)
    y = layer(x)
    gradients = torch.autograd.grad(y, [x, *layer.parameters()], dy)
    torch.set_num_threads(num_threads)

    wide = x.detach().double().requires_grad_()
    state = {k: v.detach().double() for k, v in [*layer.named_parameters(), *layer.named_buffers()]}
    parameters = [state[k].requires_grad_() for k, _ in layer.named_parameters()]
    expected = reference(wide, state, True)
    expected_gradients = torch.autograd.grad(expected, [wide, *parameters], dy.double())
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    in_dtype = 1e-2 if dtype == torch.bfloat16 else 1e-5
    close(y, expected, in_dtype)
    close(gradients[0], expected_gradients[0], in_dtype)
    for ours, theirs in zip(gradients[1:], expected_gradients[1:], strict=True):
        close(ours, theirs, 5e-4)  # sums are float32 in bfloat16 too; a gate's nearly cancel


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
def test_a_mean_of_a_thousand_spreads_costs_few_digits(name: str) -> None:
    layer, reference = used_layer(name), LAYERS[name][1]
    x = images((4, C, 8, 8), torch.float32, mean=1000.0)
    state = {k: v.detach().double() for k, v in [*layer.named_parameters(), *layer.named_buffers()]}
    close(layer(x.requires_grad_()), reference(x.detach().double(), state, True), 2e-3)


@needs_compiler
@pytest.mark.parametrize("name", ["batch", "gated", "mean", "ibn"])
def test_running_statistics_move_as_those_of_batch_norm(name: str) -> None:
    layer = used_layer(name).train()
    batch = layer if name == "batch" else layer.get_submodule("batch")
    theirs = nn.BatchNorm2d(C, eps=EPS, momentum=0.1).train()
    for mean in (0.0, 3.0):
        x = images((6, C, 16, 16), torch.float32, mean)
        layer(x)
        theirs(x)
    for key in ("running_mean", "running_var"):
        ours, expected = getattr(batch, key), getattr(theirs, key)
        torch.testing.assert_close(ours, expected[-len(ours) :], rtol=1e-5, atol=1e-5)
    assert batch.num_batches_tracked == 2


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str) -> None:
    layer, results = used_layer(name), []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        x = images((5, C, 16, 16), torch.bfloat16).requires_grad_()
        y = layer(x)
        results.append(
            [y, *torch.autograd.grad(y.float().square().sum(), list(layer.parameters()))]
        )
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@needs_compiler
@pytest.mark.parametrize("name", ["instance", "group", "layer"])
def test_an_image_with_an_infinite_pixel_spoils_itself_only(name: str) -> None:
    layer = used_layer(name)
    x = images((3, C, 4, 4), torch.bfloat16)
    whole = layer(x)
    x[1, 5, 2, 2] = torch.inf
    spoilt = layer(x)
    assert torch.equal(spoilt[[0, 2]], whole[[0, 2]])
    assert spoilt[1, 5].isnan().all()


@pytest.mark.parametrize("name", LAYERS)
def test_without_a_compiler_torch_does_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, reference = used_layer(name), LAYERS[name][1]
    monkeypatch.setattr(kernels, "library", lambda: None)
    x = images((4, C, 8, 8), torch.float32).requires_grad_()
    assert not has_kernel(x)
    state = {k: v.detach().double() for k, v in [*layer.named_parameters(), *layer.named_buffers()]}
    close(layer(x), reference(x.detach().double(), state, True), 1e-5)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 24, 4, 4), torch.float32),
        ((2, 32, 1, 1), torch.float32),
        ((2, 32, 4, 4), torch.float64),
    ],
)
def test_other_channels_maps_and_types_are_left_to_torch(
    shape: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    assert not has_kernel(images(shape, dtype))
    assert not has_kernel(images((2, 32, 4, 4), torch.float32).contiguous())


@needs_compiler
def test_a_compiler_that_fails_leaves_the_work_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path))
    monkeypatch.setattr(kernels, "FLAGS", ("--no-such-flag",))
    kernels.library.cache_clear()
    try:
        assert kernels.library() is None
    finally:
        kernels.library.cache_clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *product(LAYERS, [(8, C, 32, 32), (3, C, 4, 4)]),
        ("batch", (4, 6, 5, 5)),  # which no kernel takes
    ],
)
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("has_shortcut", [False, True])
def test_shortcut_and_relu_in_the_same_pass_are_torchs_to_the_bit(
    name: str, shape: tuple[int, int, int, int], dtype: torch.dtype, mode: str, has_shortcut: bool
) -> None:
    found: list[list[Tensor | None]] = []
    for is_joined in (True, False):
        layer = used_layer(name) if shape[1] == C else BatchNorm(shape[1], eps=EPS, momentum=0.1)
        layer.train(mode == "training")
        x = images(shape, dtype).requires_grad_()
        shortcut = images(shape, dtype, seed=4).requires_grad_() if has_shortcut else None
        if is_joined:
            y = layer(x, ThenReLU(shortcut))
        else:
            y = torch.relu(layer(x) if shortcut is None else layer(x) + shortcut)
        y.backward(images(shape, dtype, seed=3))
        leaves = [x, *layer.parameters(), *([] if shortcut is None else [shortcut])]
        found.append([y.detach(), *(leaf.grad for leaf in leaves), *layer.buffers()])
        assert 0 < y.count_nonzero() < y.numel()
    for joined, apart in zip(*found, strict=True):
        torch.testing.assert_close(joined, apart, rtol=0, atol=0)


def test_a_nan_stays_one_through_the_relu() -> None:
    x = images((2, C, 4, 4), torch.float32)
    x[0, 3, 1, 1] = float("nan")
    assert InstanceNorm(C, eps=EPS)(x, ThenReLU())[0, 3].isnan().all()
