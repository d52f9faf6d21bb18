"""Networks without a norm that train by their first weights: Fixup and SkipInit."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normexp import build
from normexp.contracts import NormSite
from normexp.engine.schedule import parameter_groups
from normexp.models.check import check
from normexp.models.resnet20 import ResidualBlock, ResNet20
from normexp.norms.fixup import FixupBias, FixupScale, add_input_bias, initialise
from normexp.norms.residual import residual_branches
from normexp.norms.rules import places_of
from normexp.norms.scale_shift import ScaleShift
from normexp.runs.spec import RunSpec

torch.set_num_threads(1)

Specs = Callable[..., RunSpec]


@pytest.fixture(scope="module")
def network(spec_of: Specs) -> Callable[[str, str], nn.Module]:
    def made(norm: str, model: str) -> nn.Module:
        return build.network(
            spec_of("data=generated", f"norm={norm}", f"model={model}", "seed=3"), 10
        )

    return made


Network = Callable[[str, str], nn.Module]


def images(num: int = 3) -> Tensor:
    return torch.randn(num, 3, 32, 32, generator=torch.Generator().manual_seed(17))


@pytest.mark.parametrize("norm", ["fixup", "skipinit"])
def test_at_the_start_a_residual_network_is_its_shortcuts(norm: str, network: Network) -> None:
    """The stem's map, at every fourth pixel, beside channels of zeros, averaged and weighed."""
    net = network(norm, "resnet20")
    assert isinstance(net, ResNet20)
    generator = torch.Generator().manual_seed(18)
    net.head.weight.data = torch.randn(net.head.weight.shape, generator=generator)
    net.head.bias.data = torch.randn(net.head.bias.shape, generator=generator)
    stem = F.conv2d(images(), net.conv.weight, padding=1).relu()
    features = F.pad(stem[:, :, ::4, ::4].mean((2, 3)), (0, 64 - 16))
    expected = features @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(images()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("model", "branches"), [("resnet20", 9), ("resnet18", 8)])
def test_fixup_scales_the_first_convolutions_and_zeroes_the_last_of_each_branch(
    model: str, branches: int, network: Network
) -> None:
    found = dict(network("fixup", model).named_parameters())
    plain = dict(network("none", model).named_parameters())
    kinds = {"conv1": branches**-0.5, "conv2": 0.0}  # L^(−1/(2m−2)), m = 2
    counted = 0
    for name, parameter in plain.items():
        if parameter.ndim != 4:
            continue
        *block, layer, _ = name.split(".")
        factor = kinds[layer] if block and layer in kinds else 1.0  # 1: stem and shortcuts
        torch.testing.assert_close(found[name], factor * parameter)
        counted += factor != 1
    assert counted == 2 * branches
    head = {"resnet20": "head", "resnet18": "fc"}[model]
    assert not found[f"{head}.weight"].any()
    assert not found[f"{head}.bias"].any()


def test_fixup_starts_with_equal_logits_and_that_is_no_reason_for_a_warning(
    network: Network,
) -> None:
    net = network("fixup", "resnet18")
    assert not net(images()).any()
    assert check(net, (32, 32), 4, 10) is None


@pytest.mark.parametrize(("model", "convs", "blocks"), [("resnet20", 19, 9), ("resnet18", 20, 8)])
def test_scales_and_biases_are_scalars_that_learn_at_a_tenth_of_the_rate(
    model: str, convs: int, blocks: int, network: Network
) -> None:
    """One bias for each convolution, the linear layer and each activation; one scale a branch."""
    net = network("fixup", model)
    groups = {group["lr_factor"]: group for group in parameter_groups(net, 0.1) if group["params"]}
    slow = groups[0.1]["params"]
    assert {id(p) for p in slow} == {id(p) for p in net.parameters() if p.ndim == 0}
    assert len(slow) == convs + 1 + (1 + 2 * blocks) + blocks
    assert groups[0.1]["weight_decay"] == 0


def test_a_block_computes_what_the_paper_has(network: Network) -> None:
    block = network("fixup", "resnet20").get_submodule("stage2.0")
    assert isinstance(block, ResidualBlock)
    generator = torch.Generator().manual_seed(19)
    for parameter in block.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    x = torch.randn(2, 16, 8, 8, generator=generator)
    scalars = {n: p.double() for n, p in block.named_parameters() if p.ndim == 0}
    w1, w2 = (conv.weight.double() for conv in (block.conv1, block.conv2))
    inner = F.conv2d(x.double() + scalars["conv1.input_bias.bias"], w1, stride=2, padding=1)
    inner = (inner + scalars["norm1.bias"]).relu() + scalars["conv2.input_bias.bias"]
    branch = F.conv2d(inner, w2, padding=1) * scalars["norm2.weight"] + scalars["norm2.bias"]
    shortcut = F.pad(x.double()[:, :, ::2, ::2], (0, 0, 0, 0, 0, 16))
    torch.testing.assert_close(block(x).double(), (branch + shortcut).relu(), rtol=1e-4, atol=1e-3)
    assert len(scalars) == 5


def test_skipinit_is_none_where_its_factors_are_1(network: Network) -> None:
    ours, none = network("skipinit", "resnet18"), network("none", "resnet18")
    factors = [p for name, p in ours.named_parameters() if name.endswith("alpha")]
    assert [factor.item() for factor in factors] == [0] * 8
    for factor in factors:
        factor.data.fill_(1)
    torch.testing.assert_close(ours(images()), none(images()))
    assert type(ours.get_submodule("layer2.0.downsample.1")) is ScaleShift


class Bottleneck(nn.Module):
    """Two blocks of three convolutions, the shortcut's made before them."""

    norm_roles: ClassVar = {
        r"\w+\.norm1": "first",
        r"\w+\.norm3": "last",
        r"\w+\.side_norm": "shortcut",
    }
    norm_activations: ClassVar = r"\w+\.act\d"

    def __init__(self) -> None:
        super().__init__()
        for block in ("a", "b"):
            layers = {
                "side": nn.Conv2d(2, 2, 1),
                "side_norm": NormSite(2),
                **{f"{kind}{i}": make() for i in (1, 2, 3) for kind, make in self.kinds.items()},
            }
            self.add_module(block, nn.ModuleDict(layers))
        self.head = nn.Linear(2, 2)

    kinds: ClassVar[dict[str, Callable[[], nn.Module]]] = {
        "conv": lambda: nn.Conv2d(2, 2, 3),
        "norm": lambda: NormSite(2),
        "act": nn.ReLU,
    }


def test_a_branch_of_three_convolutions_is_found_without_its_shortcut_and_scaled() -> None:
    net = Bottleneck()
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    branches = residual_branches(net, places_of(net))
    names = {module: name for name, module in net.named_modules()}
    assert [[names[conv] for conv in branch] for branch in branches] == [
        [f"{block}.conv{i}" for i in (1, 2, 3)] for block in ("a", "b")
    ]
    initialise(net, places_of(net))
    for name, parameter in net.named_parameters():
        if name.endswith("side.weight"):
            assert torch.equal(parameter, start[name])
        elif name.endswith(("conv1.weight", "conv2.weight")):
            torch.testing.assert_close(parameter, 2**-0.25 * start[name])
        elif name.endswith(("conv3.weight", "head.weight")):
            assert not parameter.any()


def test_a_network_without_residual_branches_is_refused_with_what_to_do() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), NormSite(4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"no residual branches.*norm=none"):
        initialise(net, places_of(net))


def test_a_network_without_a_linear_layer_is_refused() -> None:
    net = Bottleneck()
    net.head = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no linear layer"):
        initialise(net, places_of(net))


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3), nn.Linear(5, 2)])
def test_an_input_bias_is_added_before_the_layer(layer: nn.Conv2d | nn.Linear) -> None:
    x = torch.randn(2, 3, 5, 5)
    expected = layer(x + 0.7)
    add_input_bias(layer)
    layer.get_parameter("input_bias.bias").data.fill_(0.7)
    torch.testing.assert_close(layer(x), expected)


def test_a_scalar_is_one_parameter_whatever_the_channels() -> None:
    assert [p.numel() for p in FixupBias(7).parameters()] == [1]
    assert [p.numel() for p in FixupScale(7).parameters()] == [1, 1]
