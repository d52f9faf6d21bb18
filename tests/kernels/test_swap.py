"""An accelerated network is the network: its names, parameters, classes, and what hooks see."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.needs import needs_compiler
from torch import Tensor, nn

from normexp import build
from normexp.contracts import EmptySite
from normexp.evaluation.statistics import batch_layers, of_batches
from normexp.kernels import accelerate
from normexp.models.norm_act import NormAct
from normexp.norms.batch import BatchNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.ibn import IBN
from normexp.runs.spec import RunSpec

Specs = Callable[..., RunSpec]
X = torch.randn(4, 32, 24, 24, generator=torch.Generator().manual_seed(0)).contiguous(
    memory_format=torch.channels_last
)
MODELS = ["cnn", "resnet20", "resnet18"]
NORMS = ["batch", "instance", "group", "both", "mean", "split", "serial", "weight_std", "none"]


def fast(layer: nn.Module) -> nn.Module:
    accelerate(layer)
    return layer


def is_by_kernel(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "_NormBackward"


def answer(
    norm: nn.Module,
    act: nn.Module | None = None,
    end: nn.Module | None = None,
    shortcut: Tensor | None = None,
) -> Tensor:
    y: Tensor = fast(NormAct())(X, norm, act or nn.ReLU(), end, shortcut)
    return y


def test_a_hook_on_all_modules_is_called() -> None:
    seen: list[nn.Module] = []
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    norm, act = fast(BatchNorm(32, eps=1e-5, momentum=0.1)), nn.ReLU()
    try:
        answer(norm, act)
    finally:
        hook.remove()
    assert norm in seen
    assert act in seen


def networks(spec_of: Specs, model: str, norm: str) -> tuple[nn.Module, nn.Module]:
    """The network with kernels, and the same without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("normexp.kernels.compiled.library", lambda: None)
        plain = build.network(spec_of("data=generated", f"model={model}", f"norm={norm}"), 10)
    accelerated = copy.deepcopy(plain)
    accelerate(accelerated)
    layout = torch.channels_last
    return accelerated.to(memory_format=layout), plain.to(memory_format=layout)


@pytest.mark.parametrize(
    ("model", "norm"), [("cnn", n) for n in NORMS] + [(m, "batch") for m in MODELS[1:]]
)
def test_names_and_parameters_stay(spec_of: Specs, model: str, norm: str) -> None:
    network = build.network(spec_of("data=generated", f"model={model}", f"norm={norm}"), 10)
    before = dict(network.state_dict(keep_vars=True))
    modules, kinds = dict(network.named_modules()), [type(m) for m in network.modules()]
    accelerate(network)
    after = network.state_dict(keep_vars=True)
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    assert all(modules[name] is module for name, module in network.named_modules())
    assert [type(m) for m in network.modules()] == kinds  # build.network had done so already


@pytest.mark.parametrize("norm", NORMS)
def test_every_layer_is_still_of_its_class(spec_of: Specs, norm: str) -> None:
    for fast_layer, plain in zip(
        *(n.modules() for n in networks(spec_of, "resnet20", norm)), strict=True
    ):
        if not hasattr(plain, "parametrizations"):  # of a class that torch made for it alone
            assert isinstance(fast_layer, type(plain))


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_of_training_is_the_same_up_to_rounding(spec_of: Specs, norm: str) -> None:
    x = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    x = x.contiguous(memory_format=torch.channels_last)
    ours, theirs = networks(spec_of, "cnn", norm)
    for network in (ours, theirs):
        network(x).square().sum().backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        error = (one.grad - other.grad).norm() / other.grad.norm().clamp_min(1e-6)
        assert error < 0.02, name
    for found, expected in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_copies_and_loaded_states_answer_alike(spec_of: Specs, norm: str) -> None:
    network, plain = networks(spec_of, "cnn", norm)
    x = torch.randn(8, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    network(x)
    saved = io.BytesIO()
    torch.save(network.state_dict(), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    plain.load_state_dict(state)
    again = copy.deepcopy(network)
    again.load_state_dict(state)
    expected = network.eval()(x)
    assert torch.equal(again.eval()(x), expected)
    torch.testing.assert_close(plain.eval()(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "split", "none"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_network_of_another_type_is_torchs(spec_of: Specs, norm: str, dtype: torch.dtype) -> None:
    ours, theirs = (n.to(dtype) for n in networks(spec_of, "cnn", norm))
    x = torch.randn(4, 3, 32, 32).to(dtype).contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours(x), theirs(x))


def test_on_another_device_it_is_torchs(spec_of: Specs) -> None:
    network = networks(spec_of, "resnet20", "split")[0].to("meta")
    assert network(torch.empty(4, 3, 32, 32, device="meta")).shape == (4, 10)


@needs_compiler
@pytest.mark.parametrize(
    ("end", "act", "is_joined"),
    [
        (None, nn.ReLU(inplace=True), True),
        (EmptySite(32), nn.ReLU(), True),
        (nn.Identity(), nn.ReLU(), False),
        (None, nn.Identity(), False),
        (None, nn.ReLU6(), False),
    ],
    ids=str,
)
def test_only_a_plain_relu_right_after_the_norm_is_in_its_pass(
    end: nn.Module | None, act: nn.Module, is_joined: bool
) -> None:
    norm = fast(BatchNorm(32))
    y = answer(norm, act, end)
    assert is_by_kernel(y) == (is_joined or isinstance(act, nn.Identity))
    torch.testing.assert_close(y, act(norm(X)))


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shortcut_of_another_type_is_added_after_the_norm(dtype: torch.dtype) -> None:
    norm, shortcut = fast(BatchNorm(32)), X.flip(0).to(dtype)
    y = answer(norm, nn.ReLU(), EmptySite(32), shortcut)
    assert is_by_kernel(y) == (dtype == torch.float32)
    torch.testing.assert_close(y, torch.relu(norm(X) + shortcut), rtol=0, atol=0)


@needs_compiler
def test_a_shortcut_of_another_layout_is_added_too() -> None:
    norm, shortcut = fast(BatchNorm(32)), X.flip(0).contiguous()
    torch.testing.assert_close(
        answer(norm, shortcut=shortcut), torch.relu(norm(X) + shortcut), rtol=0, atol=0
    )


class Own(nn.BatchNorm2d):
    """A user's, with an answer of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


def test_a_norm_of_a_users_own_stays_as_it_is() -> None:
    norm = fast(Own(32))
    assert type(norm) is Own
    torch.testing.assert_close(answer(norm), torch.relu(nn.BatchNorm2d(32)(X) + 1))


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@pytest.mark.parametrize("looked_at", ["norm", "end", "act"])
@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_between_sees_what_it_would_see(looked_at: str, kind: str) -> None:
    modules = {"norm": fast(BatchNorm(32)), "end": EmptySite(32), "act": nn.ReLU()}
    seen: list[tuple[Any, ...]] = []
    getattr(modules[looked_at], kind)(lambda _, *tensors: seen.append(tensors))
    x = X.clone().requires_grad_()
    y = fast(NormAct())(x, modules["norm"], modules["act"], modules["end"])
    y.sum().backward()
    assert len(seen) == 1
    if kind == "register_forward_hook":
        assert (seen[0][1].min() >= 0) == (looked_at == "act")


@pytest.mark.parametrize("part", ["batch", "instance"])
@pytest.mark.parametrize("make", ["gated", "ibn"])
def test_a_hook_on_a_part_of_a_norm_is_called(make: str, part: str) -> None:
    norm = (
        GatedNorm(32, eps=1e-5, momentum=0.1)
        if make == "gated"
        else IBN(32, instance_fraction=0.5, eps=1e-5, momentum=0.1)
    )
    seen: list[Tensor] = []
    fast(norm).get_submodule(part).register_forward_hook(lambda _, x, y: seen.append(y))
    answer(norm)
    assert len(seen) == 1


def test_a_forward_of_its_own_gets_the_images_alone() -> None:
    changed = fast(BatchNorm(32))
    changed.forward = lambda x: x - 1
    torch.testing.assert_close(answer(changed), torch.relu(X - 1))


@pytest.mark.parametrize("norm", ["batch", "both", "split"])
def test_the_lens_finds_and_changes_the_layers_with_batch_statistics(
    spec_of: Specs, norm: str
) -> None:
    ours, theirs = (n.eval() for n in networks(spec_of, "cnn", norm))
    x = 3 * torch.randn(8, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    assert list(batch_layers(ours)) == list(batch_layers(theirs)) != []
    running = ours(x)
    with of_batches(8).use(ours), of_batches(8).use(theirs):
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        assert (ours(x) - running).abs().max() > 1e-3
