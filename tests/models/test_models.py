from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
import torch.nn.functional as F
from helpers.needs import NETWORKS_OF_OTHERS
from hydra import initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from timm.layers.std_conv import StdConv2d
from torch import Tensor, nn

from normexp import build
from normexp.contracts import EmptySite, NormLayer, NormSite
from normexp.models.padding import set_padding_mode
from normexp.norms.rules import places_of

FILES = [
    file
    for file in sorted(Path(build.conf_dir(), "model").glob("*.yaml"))
    if file.stem not in NETWORKS_OF_OTHERS
]
MODELS = [file.stem for file in FILES]

# Written down by hand. The CNN's widths are 32, 64, 64, 128, 128, 128 on maps of 32, 16, 16, 8, 8
# and 4 pixels; ResNet-20 has a stem of 16 filters and six convolutions each of 16, 32 and 64.
CNN_WEIGHTS = 9 * (3 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 128)
RESNET20_WEIGHTS = 9 * (3 * 16 + 6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2)
PARAMETERS = {
    "cnn": CNN_WEIGHTS + 2 * (32 + 2 * 64 + 3 * 128) + 10 * (128 + 1),
    "resnet20": RESNET20_WEIGHTS + 2 * (7 * 16 + 6 * 32 + 6 * 64) + 10 * (64 + 1),
    # torchvision's for 1000 classes, with 10, and 3×3 filters for 7×7 ones in the stem.
    "resnet18": 11_689_512 - 990 * (512 + 1) - 64 * 3 * (49 - 9),
}
ROLES = {
    "cnn": {"stem": 1, "first": 5, "block_end": 6},
    "resnet20": {"stem": 1, "first": 9, "last": 9, "block_end": 9},
    "resnet18": {"stem": 1, "first": 8, "last": 8, "shortcut": 3, "block_end": 8},
}
NORMS_BY_STAGE = {
    "cnn": {0: 1, 1: 2, 2: 2, 3: 1},
    "resnet20": {0: 1, 1: 6, 2: 6, 3: 6},
    "resnet18": {0: 1, 1: 4, 2: 5, 3: 5, 4: 5},
}
LAST_MAP = {"cnn": 4, "resnet20": 8, "resnet18": 4}
CNN_MULTIPLY_ADDS = 10 * 128 + 9 * (
    32**2 * 3 * 32 + 16**2 * (32 * 64 + 64 * 64) + 8**2 * (64 * 128 + 128 * 128) + 4**2 * 128 * 128
)
RESNET20_MULTIPLY_ADDS = 10 * 64 + 9 * (
    32**2 * (3 * 16 + 6 * 16**2) + 16**2 * (16 * 32 + 5 * 32**2) + 8**2 * (32 * 64 + 5 * 64**2)
)
RESNET18_MULTIPLY_ADDS = (
    9 * 32**2 * (3 * 64 + 4 * 64**2)
    + 16**2 * (9 * (64 * 128 + 3 * 128**2) + 64 * 128)
    + 8**2 * (9 * (128 * 256 + 3 * 256**2) + 128 * 256)
    + 4**2 * (9 * (256 * 512 + 3 * 512**2) + 256 * 512)
    + 10 * 512
)
MULTIPLY_ADDS = {
    "cnn": CNN_MULTIPLY_ADDS,
    "resnet20": RESNET20_MULTIPLY_ADDS,
    "resnet18": RESNET18_MULTIPLY_ADDS,
}


@cache
def settings(name: str) -> DictConfig:
    """The settings of conf/model/<name>.yaml, and those that all models have."""
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        return hydra.compose("train", [f"model={name}"])


def model(
    name: str, norm_layer: NormLayer = nn.BatchNorm2d, num_classes: int = 10, **changes: Any
) -> nn.Module:
    """The network of conf/model/<name>.yaml, with `changes` to its settings."""
    torch.manual_seed(0)
    make = instantiate(settings(name).model.network, **changes, _convert_="all")
    network: nn.Module = make(norm_layer=norm_layer, num_classes=num_classes)
    return network


def sites(network: nn.Module) -> list[NormSite]:
    return [m for m in network.modules() if isinstance(m, NormSite)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm_layer", [nn.BatchNorm2d, NormSite])
def test_every_model_gives_one_logit_a_class(name: str, norm_layer: NormLayer) -> None:
    logits = model(name, norm_layer, num_classes=7)(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("name", MODELS)
def test_every_model_makes_its_norms_with_the_layer_it_is_given(name: str) -> None:
    network = model(name, nn.InstanceNorm2d)
    kinds = Counter(type(m).__name__ for m in network.modules())
    num_sites = sum(not isinstance(m, EmptySite) for m in sites(model(name, NormSite)))
    assert kinds["InstanceNorm2d"] == num_sites
    assert kinds["BatchNorm2d"] == 0


@pytest.mark.parametrize("name", MODELS)
def test_every_site_knows_the_channels_that_it_meets(name: str) -> None:
    network = model(name, NormSite)
    met: dict[NormSite, int] = {}

    def note(site: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(site, NormSite)
        met[site] = inputs[0].shape[1]

    for site in sites(network):
        site.register_forward_pre_hook(note)
    network(torch.randn(1, 3, 32, 32))
    assert met == {site: site.num_features for site in sites(network)}


@pytest.mark.parametrize("name", MODELS)
def test_every_convolution_is_followed_by_a_norm_and_so_has_no_bias(name: str) -> None:
    network = model(name, NormSite)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(conv.bias is None for conv in convolutions)
    norms = [site for site in sites(network) if not isinstance(site, EmptySite)]
    assert sorted(s.num_features for s in norms) == sorted(c.out_channels for c in convolutions)


@pytest.mark.parametrize("name", MODELS)
def test_first_weights_have_the_variance_of_he_et_al(name: str) -> None:
    for module in model(name).modules():
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            variance = 2 / (module.out_channels * height * width)
            error = 5 * variance * (2 / module.weight.numel()) ** 0.5
            assert abs(module.weight.square().mean().item() - variance) < error


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_number_of_parameters_is_the_one_worked_out_by_hand(name: str) -> None:
    assert sum(p.numel() for p in model(name).parameters()) == PARAMETERS[name]


def test_the_sizes_are_those_that_the_settings_tell() -> None:
    told = {
        "cnn": ("0.43 M parameters", "32 M multiply-adds"),
        "resnet20": ("0.27 M parameters", "41 M multiply-adds"),
        "resnet18": ("11 M parameters", "555 M multiply-adds"),
    }
    for name, texts in told.items():
        file = Path(build.conf_dir(), "model", f"{name}.yaml").read_text()
        for text, count in zip(texts, (PARAMETERS[name], MULTIPLY_ADDS[name]), strict=True):
            assert text in file
            number = text.split()[0]
            decimals = len(number.partition(".")[2])
            assert round(count / 1e6, decimals) == float(number)


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds_and_the_last_map_are_those_worked_out_by_hand(name: str) -> None:
    network = model(name)
    multiply_adds: list[int] = []
    maps: list[torch.Size] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        multiply_adds.append(output[0].numel() * module.weight[0].numel())
        if isinstance(module, nn.Conv2d):
            maps.append(output.shape[2:])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network(torch.randn(2, 3, 32, 32))

    assert sum(multiply_adds) == MULTIPLY_ADDS[name]
    assert maps[-1] == (LAST_MAP[name], LAST_MAP[name])


@pytest.mark.parametrize("name", ROLES)
def test_every_norm_has_its_role(name: str) -> None:
    places = places_of(model(name, NormSite))
    assert Counter(place.role for place in places) == ROLES[name]


@pytest.mark.parametrize("name", NORMS_BY_STAGE)
def test_every_norm_has_its_stage(name: str) -> None:
    places = [p for p in places_of(model(name, NormSite)) if p.role != "block_end"]
    assert Counter(place.stage for place in places) == NORMS_BY_STAGE[name]
    assert {place.stages for place in places} == {max(NORMS_BY_STAGE[name])}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_one_stem_and_it_is_the_first_norm(name: str) -> None:
    places = places_of(model(name, NormSite))
    assert [p.name for p in places if p.role == "stem"] == [places[0].name]
    assert (places[0].stage, places[0].depth) == (0, 0)


@pytest.mark.parametrize("name", MODELS)
def test_depth_grows_in_even_steps_from_0_to_1(name: str) -> None:
    norms = [p.depth for p in places_of(model(name, NormSite)) if p.role != "block_end"]
    last = len(norms) - 1
    assert norms == pytest.approx([i / last for i in range(len(norms))])


@pytest.mark.parametrize("name", MODELS)
def test_blocks_of_one_stage_work_on_maps_of_one_size(name: str) -> None:
    network = model(name, NormSite)
    sizes: dict[int, set[torch.Size]] = {}
    for place in places_of(network):

        def note(_: nn.Module, inputs: tuple[Tensor, ...], stage: int = place.stage) -> None:
            sizes.setdefault(stage, set()).add(inputs[0].shape[2:])

        network.get_submodule(place.name).register_forward_pre_hook(note)
    network(torch.randn(1, 3, 32, 32))
    assert all(len(of_stage) == 1 for of_stage in sizes.values())
    # The stem works on the first size; from then on each stage has maps of its own.
    pixels = [size.numel() for stage in sorted(sizes)[1:] for size in sizes[stage]]
    assert pixels == sorted(set(pixels), reverse=True)


def test_an_empty_site_stands_after_the_addition_and_before_the_activation() -> None:
    network = model("resnet20", NormSite)
    site = network.get_submodule("stage2.0.end")
    seen: dict[str, Tensor] = {}
    site.register_forward_pre_hook(lambda _, inputs: seen.update(sum=inputs[0].clone()))
    block = network.get_submodule("stage2.0")
    block.register_forward_hook(lambda _, inputs, y: seen.update(input=inputs[0], output=y.clone()))
    branch = network.get_submodule("stage2.0.norm2")
    branch.register_forward_hook(lambda _, inputs, y: seen.update(branch=y.clone()))
    network(torch.randn(1, 3, 32, 32))
    # Option A of He et al.: every second pixel, and zeros for the new channels.
    shortcut = torch.cat([seen["input"][:, :, ::2, ::2], torch.zeros(1, 16, 16, 16)], dim=1)
    torch.testing.assert_close(seen["sum"], seen["branch"] + shortcut)
    assert torch.equal(seen["output"], seen["sum"].clamp(min=0))


def inputs_of(network: nn.Module, name: str) -> list[Tensor]:
    """A list that gets what enters the module of that name."""
    seen: list[Tensor] = []
    module = network.get_submodule(name)
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    return seen


def last_convolutions_output(network: nn.Module) -> list[Tensor]:
    """A list that gets what leaves the CNN's last convolution."""
    seen: list[Tensor] = []
    conv = network.get_submodule("stage3.0.conv")
    conv.register_forward_hook(lambda _, inputs, output: seen.append(output.clone()))
    return seen


def test_the_cnns_norm_stands_before_or_after_the_activation() -> None:
    images = torch.randn(2, 3, 32, 32)
    for order, least_is_0 in (("conv-norm-act", False), ("conv-act-norm", True)):
        network = model("cnn", NormSite, order=order)
        before_norm = inputs_of(network, "stage1.0.norm")
        network(images)
        assert (before_norm[0].min() >= 0) == least_is_0
        assert before_norm[0].max() > 0


@pytest.mark.parametrize("order", ["conv-norm-act", "conv-act-norm"])
@pytest.mark.parametrize("after", ["relu-pool", "pool", "flatten"])
def test_what_follows_the_cnns_last_norm_is_what_the_settings_say(order: str, after: str) -> None:
    network = model("cnn", NormSite, order=order, after=after)
    leaving = last_convolutions_output(network)
    logits = network(torch.randn(2, 3, 32, 32))

    x = leaving[0]
    assert x.shape[2:] == (4, 4)
    if order == "conv-act-norm" or after != "pool":
        x = x.clamp(min=0)
    else:
        assert x.min() < 0
    features = x.flatten(1) if after == "flatten" else x.mean((2, 3))
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 1
    torch.testing.assert_close(logits, features @ linear[0].weight.T + linear[0].bias)


@pytest.mark.parametrize(("poolings", "size"), [(0, 32), (1, 16), (2, 8), (3, 4)])
@pytest.mark.parametrize("after", ["relu-pool", "flatten"])
def test_the_cnns_last_map_is_as_wide_as_its_poolings_leave(
    after: str, poolings: int, size: int
) -> None:
    network = model("cnn", NormSite, poolings=poolings, widths=[4] * 6, after=after)
    leaving = last_convolutions_output(network)
    logits = network(torch.randn(1, 3, 32, 32))
    assert leaving[0].shape == (1, 4, size, size)
    assert logits.shape == (1, 10)
    # Neither moves a weight: one number of poolings is compared with another.
    same = {
        name: p.shape for name, p in model("cnn", widths=[4] * 6, after=after).named_parameters()
    }
    other = model("cnn", widths=[4] * 6, after=after, poolings=poolings)
    assert {name: p.shape for name, p in other.named_parameters()} == same


@pytest.mark.parametrize("depth", [6, 12, 24])
def test_a_deeper_cnn_has_each_convolution_so_many_times(depth: int) -> None:
    network = model("cnn", NormSite, depth=depth)
    sizes: list[int] = []
    for conv in (convs := [m for m in network.modules() if isinstance(m, nn.Conv2d)]):
        conv.register_forward_hook(lambda _, inputs, y: sizes.append(y.shape[-1]))
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 10)
    times = depth // 6
    widths = [w for w in (32, 64, 64, 128, 128, 128) for _ in range(times)]
    assert [conv.out_channels for conv in convs] == widths
    assert [conv.in_channels for conv in convs] == [3, *widths[:-1]]
    assert sizes == [s for s in (32, 16, 16, 8, 8, 4) for _ in range(times)]
    norms = [p for p in places_of(network) if p.role != "block_end"]
    assert [p.role for p in norms] == ["stem"] + ["first"] * (depth - 1)
    assert [p.stage for p in norms] == [s for s in (0, 1, 1, 2, 2, 3) for _ in range(times)]
    assert [p.depth for p in norms] == pytest.approx([i / (depth - 1) for i in range(depth)])
    activations = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    assert len(activations) == depth  # one of them in the head


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({"depth": depth}, rf"depth={depth}: a multiple of six is needed")
            for depth in (0, 8, -6, 6.0, "deep", None, True)
        ),
        ({"widths": [8, 16]}, r"widths=\[8, 16\]: six widths of 1 or more"),
        ({"order": "act-conv"}, "order=act-conv: one of conv-norm-act, conv-act-norm is needed"),
        ({"after": "max"}, "after=max: one of relu-pool, pool, flatten is needed"),
        ({"poolings": 4}, "poolings=4: one of 0, 1, 2, 3 is needed"),
    ],
)
def test_a_cnn_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model("cnn", **changes)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("name", MODELS)
def test_the_border_of_every_convolution_is_padded_as_the_settings_say(
    name: str, mode: str
) -> None:
    network = model(name, NormSite)
    set_padding_mode(network, mode)
    seen: list[tuple[nn.Conv2d, Tensor, Tensor]] = []

    def note(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        seen.append((conv, inputs[0].clone(), output.clone()))

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    network(torch.randn(1, 3, 32, 32))
    assert len(seen) == sum(isinstance(m, nn.Conv2d) for m in network.modules())
    for conv, x, output in seen:
        width = conv.kernel_size[0] // 2
        pad = "constant" if mode == "zeros" else mode
        padded = F.pad(x, [width] * 4, mode=pad)
        torch.testing.assert_close(output, F.conv2d(padded, conv.weight, stride=conv.stride))


def test_a_padding_mode_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="padding_mode=ones: one of zeros, reflect, replicate"):
        set_padding_mode(model("cnn"), "ones")


def test_a_convolution_that_pads_by_itself_is_refused() -> None:
    network = nn.Sequential(StdConv2d(3, 4, 3, padding=1))
    with pytest.raises(ValueError, match="padding_mode=reflect: StdConv2d pads by itself"):
        set_padding_mode(network, "reflect")
    set_padding_mode(network, "zeros")
