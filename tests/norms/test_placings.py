"""Which layers the placings of conf/norm put where."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from normexp import build
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.evonorm_s0 import EvoNormS0
from normexp.norms.ibn import IBN
from normexp.norms.instance import InstanceNorm
from normexp.norms.scale_shift import ScaleShift
from normexp.runs.spec import RunSpec

Specs = Callable[..., RunSpec]


def resnet20(spec_of: Specs, *overrides: str) -> nn.Module:
    return build.network(spec_of("data=generated", "model=resnet20", *overrides), 10)


@pytest.mark.parametrize(
    ("norm", "stem", "elsewhere"),
    [
        ("no_stem", ScaleShift, nn.BatchNorm2d),
        ("instance_not_stem", nn.BatchNorm2d, InstanceNorm),
        ("stem_instance", InstanceNorm, nn.BatchNorm2d),
    ],
)
def test_the_stem_has_another_layer_than_the_rest(
    norm: str, stem: type[nn.Module], elsewhere: type[nn.Module], spec_of: Specs
) -> None:
    network = resnet20(spec_of, f"norm={norm}")
    assert isinstance(network.get_submodule("norm"), stem)
    for stage in (1, 2, 3):
        for layer in ("norm1", "norm2"):
            assert isinstance(network.get_submodule(f"stage{stage}.0.{layer}"), elsewhere)


@pytest.mark.parametrize(("norm", "layer"), [("evonorm_b0", EvoNormB0), ("evonorm_s0", EvoNormS0)])
def test_evonorm_takes_the_place_of_norm_and_relu_and_before_an_addition_there_is_neither(
    norm: str, layer: type[nn.Module], spec_of: Specs
) -> None:
    network = resnet20(spec_of, f"norm={norm}")
    assert isinstance(network.get_submodule("norm"), layer)
    assert type(network.get_submodule("act")) is nn.Identity
    block = network.get_submodule("stage2.1")
    assert isinstance(block.get_submodule("norm1"), layer)
    assert type(block.get_submodule("act1")) is nn.Identity
    assert isinstance(block.get_submodule("norm2"), ScaleShift)
    assert type(block.get_submodule("act2")) is nn.ReLU


def test_the_share_of_instance_channels_is_a_setting_of_split(spec_of: Specs) -> None:
    fraction = "norm.at.first_of_block.layer.instance_fraction=0.25"
    layer = resnet20(spec_of, "norm=split", fraction).get_submodule("stage1.0.norm1")
    assert isinstance(layer, IBN)
    x = torch.randn(4, 16, 3, 3)
    by_image = layer.train()(x)
    own = nn.functional.instance_norm(x[:, :4])
    torch.testing.assert_close(by_image[:, :4], own)
    assert (by_image[:, 4:] - nn.functional.instance_norm(x[:, 4:])).abs().max() > 0.05


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("model.order=conv-act-norm", r"model\.order=conv-norm-act"),
        ("model.after=pool", r"none at head\.act.*model\.after=relu-pool"),
    ],
)
def test_a_norm_with_an_activation_is_not_put_beside_another_one(
    norm: str, model: str, words: str, spec_of: Specs
) -> None:
    with pytest.raises(ValueError, match=words):
        build.network(spec_of("data=generated", f"norm={norm}", model), 10)


@pytest.mark.parametrize(
    "model", ["model.after=relu-pool", "model.after=flatten", "model.depth=12"]
)
def test_a_norm_with_an_activation_replaces_each_activation(model: str, spec_of: Specs) -> None:
    network = build.network(spec_of("data=generated", "norm=frn", model), 10)
    assert not [m for m in network.modules() if isinstance(m, nn.ReLU)]


@pytest.mark.parametrize("norm", ["fixup", "skipinit"])
def test_a_norm_for_residual_networks_says_so_first(norm: str, spec_of: Specs) -> None:
    with pytest.raises(ValueError, match="the network has no residual branches"):
        build.network(spec_of("data=generated", f"norm={norm}"), 10)
