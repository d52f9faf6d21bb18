"""The norms that have a kernel, on images that it takes, against formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from helpers import reference as ref
from helpers.needs import needs_compiler
from torch import Tensor, nn

from normexp.contracts import EmptySite
from normexp.kernels import accelerate
from normexp.models.norm_act import NormAct
from normexp.norms.batch import BatchNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.group import GroupNorm
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm, PlainInstanceNorm
from normexp.norms.mean import MeanNorm
from normexp.norms.serial import SerialNorm

C = 80  # blocks of four vectors, and one of fewer
EPS = ref.EPS
LAYERS: dict[str, tuple[Callable[[int], nn.Module], ref.Reference]] = {
    "batch": (lambda c: BatchNorm(c, eps=EPS, momentum=0.1), ref.batch),
    "instance": (lambda c: InstanceNorm(c, eps=EPS), ref.instance),
    "group": (lambda c: GroupNorm(c, num_groups=ref.NUM_GROUPS, eps=EPS), ref.group),
    "layer": (lambda c: GroupNorm(c, num_groups=1, eps=EPS), ref.layer),
    "gated": (lambda c: GatedNorm(c, eps=EPS, momentum=0.1), ref.gated),
    "mean": (lambda c: MeanNorm(c, eps=EPS, momentum=0.1), ref.mean),
    "ibn": (lambda c: IBN(c, instance_fraction=0.3, eps=EPS, momentum=0.1), ref.ibn),
}
SERIAL = {"serial": (lambda c: SerialNorm(c, eps=EPS, momentum=0.1), ref.serial)}


def used_layer(name: str, num_channels: int = C) -> nn.Module:
    """A layer as after some training, with a kernel."""
    torch.manual_seed(1)
    layer = (LAYERS | SERIAL)[name][0](num_channels)
    for parameter in layer.parameters():
        parameter.data.add_(0.4 * torch.randn_like(parameter))
    accelerate(layer)
    return layer


def images(shape: tuple[int, ...], dtype: torch.dtype, mean: float = 1.0, seed: int = 2) -> Tensor:
    """Channels of unlike mean and spread, channels last."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.5, 2, shape[1]).reshape(-1, 1, 1)
    x = (torch.randn(shape, generator=generator) * spread + mean * spread.flip(0)).to(dtype)
    return x.contiguous(memory_format=torch.channels_last)


def state_of(layer: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().double() for k, v in layer.state_dict().items()}


def close(ours: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal to `tolerance` times the largest value."""
    error = (ours.double() - expected).abs().max() / expected.abs().max()
    assert error < tolerance, f"off by {error:.1e} of the largest"


def is_by_kernel(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "_NormBackward"


@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-8)])
def test_instance_norm_without_scale_and_shift_has_the_kernel_too(
    dtype: torch.dtype, tolerance: float
) -> None:
    layer = PlainInstanceNorm(C, eps=EPS)
    accelerate(layer)
    x = images((7, C, 5, 9), dtype).requires_grad_()
    y = layer(x)
    assert is_by_kernel(y)
    close(y, ref.instance_plain(x.double()), tolerance)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(3, 5, 9), (7, 32, 32), (64, 4, 4)])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward_are_the_formula(
    name: str, size: tuple[int, int, int], dtype: torch.dtype, threads: int
) -> None:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    layer, reference = used_layer(name), LAYERS[name][1]
    x = images((size[0], C, *size[1:]), dtype).requires_grad_()
    dy = images((size[0], C, *size[1:]), dtype, mean=0.2, seed=3)
    y = layer(x)
    gradients = torch.autograd.grad(y, [x, *layer.parameters()], dy)
    torch.set_num_threads(num_threads)

    wide = x.detach().double().requires_grad_()
    state = state_of(layer)
    parameters = [state[k].requires_grad_() for k, _ in layer.named_parameters()]
    expected = reference(wide, state, True)
    expected_gradients = torch.autograd.grad(expected, [wide, *parameters], dy.double())
    assert is_by_kernel(y) == (name != "batch" or y.numel() > 65_000)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    in_dtype = 1e-2 if dtype == torch.bfloat16 else 1e-5
    close(y, expected, in_dtype)
    close(gradients[0], expected_gradients[0], in_dtype)
    for ours, theirs in zip(gradients[1:], expected_gradients[1:], strict=True):
        close(ours, theirs, 5e-4)  # sums are float32 in bfloat16 too; a gate's nearly cancel


@needs_compiler
@pytest.mark.parametrize("name", [*LAYERS, "serial"])
def test_a_mean_of_a_thousand_spreads_costs_few_digits(name: str) -> None:
    layer, reference = used_layer(name), (LAYERS | SERIAL)[name][1]
    x = images((16, C, 8, 8), torch.float32, mean=1000.0).requires_grad_()
    y = layer(x)
    assert is_by_kernel(y)
    close(y, reference(x.detach().double(), state_of(layer), True), 2e-3)


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
def test_a_first_pixel_unlike_the_others_costs_few_digits(name: str) -> None:
    layer, reference = used_layer(name), LAYERS[name][1]
    x = images((2, C, 48, 48), torch.float32)
    x[:, :, 0, 0] += 1000
    x.requires_grad_()
    y = layer(x)
    assert is_by_kernel(y)
    close(y, reference(x.detach().double(), state_of(layer), True), 2e-5)


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
def test_torchs_default_type_and_device_change_nothing(name: str) -> None:
    layer, x = used_layer(name), images((4, C, 16, 16), torch.float32)
    expected = layer(x)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            y = layer(x)
            y.sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)
    assert is_by_kernel(y)
    assert torch.equal(y, expected)


@needs_compiler
@pytest.mark.parametrize(("num_images", "is_fast"), [(12, True), (3, True), (2, True), (13, False)])
def test_ghosts_of_equal_size_are_by_the_kernel_and_as_without(
    num_images: int, is_fast: bool
) -> None:
    results = []
    for fast in (True, False):
        layer = GhostBatchNorm(C, ghost_size=3, eps=EPS, momentum=0.1)
        with torch.no_grad():
            layer.weight.copy_(torch.linspace(0.5, 2, C))
        if fast:
            accelerate(layer)
        x = images((num_images, C, 8, 6), torch.float32).requires_grad_()
        y = layer(x)
        assert is_by_kernel(y) == (fast and is_fast)
        dy = images(tuple(y.shape), torch.float32, mean=0.2, seed=3)
        gradients = torch.autograd.grad(y, [x, *layer.parameters()], dy)
        results.append([y, *gradients, layer.running_mean, layer.running_var])
    for ours, plain in zip(*results, strict=True):
        close(ours, plain.double(), 1e-5)


@needs_compiler
@pytest.mark.parametrize("name", ["batch", "gated", "mean", "ibn"])
def test_running_statistics_move_as_those_of_batch_norm(name: str) -> None:
    layer = used_layer(name).train()
    batch = layer if name == "batch" else layer.get_submodule("batch")
    theirs = nn.BatchNorm2d(C, eps=EPS, momentum=0.1).train()
    for mean in (0.0, 3.0):
        x = images((6, C, 16, 16), torch.float32, mean)
        assert is_by_kernel(layer(x))
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


@needs_compiler
@pytest.mark.parametrize(
    "x",
    [
        images((2, 24, 8, 8), torch.float32),
        images((2, 32, 8, 8), torch.float64),
        images((2, 32, 8, 8), torch.float32).contiguous(),
        images((4, 64, 8, 8), torch.float32)[:, ::2],
    ],
    ids=["channels", "type", "layout", "strides"],
)
@pytest.mark.parametrize("name", LAYERS)
def test_images_that_the_kernel_does_not_take_are_left_to_torch(name: str, x: Tensor) -> None:
    layer = used_layer(name, x.shape[1]).to(x.dtype)
    y = layer(x)
    assert not is_by_kernel(y)
    close(y, LAYERS[name][1](x.double(), state_of(layer), True), 1e-5)


@needs_compiler
@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"group", "layer"}))
def test_maps_of_one_pixel_are_refused_as_torch_does(name: str) -> None:
    with pytest.raises(ValueError, match="Expected more than 1"):
        used_layer(name)(images((1, C, 1, 1), torch.float32))


@pytest.mark.parametrize("num_channels", [32, 512])
@pytest.mark.parametrize("name", [*LAYERS, "serial"])
def test_images_of_other_channels_than_the_layers_are_refused(name: str, num_channels: int) -> None:
    layer = used_layer(name, 16)
    with pytest.raises((ValueError, RuntimeError), match=r"16|size"):
        layer(images((8, num_channels, 16, 16), torch.float32))


@pytest.mark.parametrize("name", [*LAYERS, "serial"])
def test_in_double_precision_it_is_the_formula(name: str) -> None:
    layer = used_layer(name).double()
    x = images((8, C, 16, 16), torch.float64)
    close(layer(x), (LAYERS | SERIAL)[name][1](x, state_of(layer), True), 1e-12)


@pytest.mark.parametrize("name", ["batch", "instance", "group", "layer", "ibn"])
def test_in_bfloat16_it_is_the_formula(name: str) -> None:
    layer = used_layer(name).bfloat16()
    x = images((8, C, 16, 16), torch.bfloat16).requires_grad_()
    y = layer(x)
    y.backward(images((8, C, 16, 16), torch.bfloat16, mean=0.2, seed=3))
    assert y.dtype == torch.bfloat16
    close(y, LAYERS[name][1](x.detach().double(), state_of(layer), True), 2e-2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("of_layer", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("of_images", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", [*LAYERS, "serial"])
def test_of_unlike_types_it_is_the_formula_or_torch_refuses(
    name: str, of_layer: torch.dtype, of_images: torch.dtype
) -> None:
    layer, x = used_layer(name).to(of_layer), images((8, C, 16, 16), of_images)
    try:
        y = layer(x)
    except RuntimeError:
        assert of_layer != of_images or of_layer == torch.bfloat16
        return
    tolerance = 2e-2 if torch.bfloat16 in (of_layer, of_images) else 1e-5
    close(y, (LAYERS | SERIAL)[name][1](x.double(), state_of(layer), True), tolerance)


@needs_compiler
@pytest.mark.parametrize("change", ["strided", "double", "short"])
def test_a_weight_that_the_kernel_does_not_take_is_left_to_torch(change: str) -> None:
    layer, x = used_layer("group"), images((4, C, 8, 8), torch.float32)
    weight = layer.get_parameter("weight").data
    layer.weight = nn.Parameter(
        {
            "strided": weight.repeat_interleave(2)[::2],
            "double": weight.double(),
            "short": weight[:16].clone(),
        }[change]
    )
    if change == "strided":
        y = layer(x)
        assert not is_by_kernel(y)
        close(y, ref.group(x.double(), state_of(layer), True), 1e-5)
    else:
        with pytest.raises(RuntimeError):
            layer(x)


@needs_compiler
def test_the_gradient_of_its_gradient_is_refused() -> None:
    x = images((2, C, 4, 4), torch.float32).requires_grad_()
    with pytest.raises(NotImplementedError, match="the gradient of this norm's gradient"):
        torch.autograd.grad(used_layer("instance")(x).square().sum(), x, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("name", "shape"), list(product(LAYERS, [(8, C, 32, 32), (3, C, 4, 4)])))
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("has_shortcut", [False, True])
def test_shortcut_and_relu_in_the_same_pass_are_torchs_to_the_bit(
    name: str, shape: tuple[int, int, int, int], dtype: torch.dtype, mode: str, has_shortcut: bool
) -> None:
    found: list[list[Tensor | None]] = []
    for is_joined in (True, False):
        layer = used_layer(name).train(mode == "training")
        norm_act, act, end = NormAct(), nn.ReLU(), EmptySite(C)
        if is_joined:
            accelerate(norm_act)
        x = images(shape, dtype).requires_grad_()
        shortcut = images(shape, dtype, seed=4).requires_grad_() if has_shortcut else None
        y = norm_act(x, layer, act, end, shortcut)
        y.backward(images(shape, dtype, seed=3))
        leaves = [x, *layer.parameters(), *([] if shortcut is None else [shortcut])]
        found.append([y.detach(), *(leaf.grad for leaf in leaves), *layer.buffers()])
        assert 0 < y.count_nonzero() < y.numel()
    for joined, apart in zip(*found, strict=True):
        torch.testing.assert_close(joined, apart, rtol=0, atol=0)


def test_a_nan_stays_one_through_the_relu() -> None:
    x = images((2, C, 4, 4), torch.float32)
    x[0, 3, 1, 1] = float("nan")
    layer, norm_act = used_layer("instance"), NormAct()
    accelerate(norm_act)
    assert norm_act(x, layer, nn.ReLU())[0, 3].isnan().all()
