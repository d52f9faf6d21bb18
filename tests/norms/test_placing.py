from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from normexp.contracts import EmptySite, NormLayer, NormSite
from normexp.norms.group import GroupNorm
from normexp.norms.noisy import NoisyNorm
from normexp.norms.placing import place_norms
from normexp.norms.rules import places_of


class Chosen(nn.Identity):
    """A norm layer that tells its channels."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class Other(Chosen):
    """Another one."""


class Third(Chosen):
    """A third one."""


class Block(nn.Module):
    def __init__(self, norm_layer: NormLayer, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = norm_layer(channels)
        self.act = nn.ReLU()
        self.end = EmptySite(channels)
        self.last_act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.last_act(self.end(x + self.act(self.norm(self.conv(x))))))


class Net(nn.Module):
    """A stem and three stages of two blocks: seven norms, at depths 0, 1/6 … 1."""

    norm_roles: ClassVar = {
        "norm": "stem",
        r"stage(?P<stage>\d)\.\d\.norm": "first",
        r"stage(?P<stage>\d)\.\d\.end": "block_end",
    }
    norm_activations: ClassVar = r"stage\d\.\d\.act"

    def __init__(self, norm_layer: NormLayer = NormSite, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1)
        self.norm = norm_layer(channels)
        for stage in (1, 2, 3):
            blocks = [Block(norm_layer, channels) for _ in range(2)]
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        for stage in (1, 2, 3):
            x = self.get_submodule(f"stage{stage}")(x)
        return x.mean((2, 3))


NORMS = ["norm", *(f"stage{stage}.{block}.norm" for stage in (1, 2, 3) for block in (0, 1))]
ENDS = [f"stage{stage}.{block}.end" for stage in (1, 2, 3) for block in (0, 1)]


def where(network: nn.Module, kind: type[nn.Module]) -> list[str]:
    """The places of the modules of exactly one kind."""
    return [name for name, module in network.named_modules() if type(module) is kind]


def placed(**conditions: Any) -> Net:
    """A network with `Other` where the conditions hold and `Chosen` elsewhere."""
    network = Net()
    place_norms(network, Chosen, at={"there": {"layer": Other, **conditions}})
    return network


def test_without_rules_the_layer_stands_at_every_norm_and_at_no_empty_site() -> None:
    network = Net(channels=5)
    place_norms(network, Chosen)
    assert where(network, Chosen) == NORMS
    assert where(network, EmptySite) == ENDS
    assert {m.num_features for m in network.modules() if isinstance(m, Chosen)} == {5}


def test_each_site_gets_a_layer_of_its_own() -> None:
    network = Net()
    place_norms(network, nn.BatchNorm2d)
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len({id(layer) for layer in layers}) == len(NORMS)


STAGE_1, STAGE_2, STAGE_3 = NORMS[1:3], NORMS[3:5], NORMS[5:7]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, NORMS),
        ({"roles": ["stem"]}, NORMS[:1]),
        ({"roles": ["first"]}, NORMS[1:]),
        ({"roles": ["stem", "first"]}, NORMS),
        ({"stages": [0, 0]}, NORMS[:1]),
        ({"stages": [1, 1]}, STAGE_1),
        ({"stages": [1, 2]}, STAGE_1 + STAGE_2),
        ({"stages": [-1, -1]}, STAGE_3),
        ({"stages": [1, -2]}, STAGE_1 + STAGE_2),
        ({"stages": [-2, -1]}, STAGE_2 + STAGE_3),
        ({"stages": [0, -1]}, NORMS),
        ({"depth": [0, 0.5]}, NORMS[:3]),  # 3/6 is excluded
        ({"depth": [0.5, 1]}, NORMS[3:]),  # 1 is included
        ({"depth": [0.49, 0.51]}, NORMS[3:4]),
        ({"depth": [0, 1]}, NORMS),
        ({"depth": [1, 1]}, NORMS[6:]),
        ({"last_in_stage": True}, [NORMS[0], NORMS[2], NORMS[4], NORMS[6]]),
        ({"last_in_stage": False}, NORMS),
        ({"roles": ["first"], "stages": [2, 3], "last_in_stage": True}, [NORMS[4], NORMS[6]]),
        ({"roles": ["first"], "depth": [0, 0.2]}, NORMS[1:2]),
    ],
)
def test_a_rule_selects_the_norms_that_fit_all_its_conditions(
    conditions: dict[str, Any], expected: list[str]
) -> None:
    network = placed(**conditions)
    assert where(network, Other) == expected
    assert where(network, Chosen) == [name for name in NORMS if name not in expected]
    assert where(network, EmptySite) == ENDS


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"roles": ["block_end"]}, ENDS),
        ({"roles": ["block_end"], "stages": [1, 1]}, ENDS[:2]),
        ({"roles": ["block_end"], "stages": [1, 2], "last_in_stage": True}, [ENDS[1], ENDS[3]]),
        # As deep as the norm before it.
        ({"roles": ["block_end"], "depth": [0.5, 0.6]}, ENDS[2:3]),
        ({"roles": ["block_end"], "depth": [1, 1]}, ENDS[5:]),
    ],
)
def test_an_empty_site_is_filled_where_a_rule_names_its_role(
    conditions: dict[str, Any], expected: list[str]
) -> None:
    network = placed(**conditions)
    assert where(network, Other) == expected
    assert where(network, Chosen) == NORMS
    assert where(network, EmptySite) == [name for name in ENDS if name not in expected]


def test_the_first_rule_that_fits_wins() -> None:
    network = Net()
    place_norms(
        network,
        Chosen,
        at={
            "a": {"layer": Other, "stages": [0, 1]},
            "b": {"layer": Third, "stages": [1, 2]},
            "c": {"layer": Third, "roles": ["block_end"], "stages": [1, 1]},
        },
    )
    assert where(network, Other) == NORMS[:1] + STAGE_1
    assert sorted(where(network, Third)) == sorted(STAGE_2 + ENDS[:2])
    assert where(network, Chosen) == STAGE_3


@pytest.mark.parametrize(
    "conditions",
    [
        {"roles": ["shortcut"]},
        {"stages": [4, 4]},
        {"depth": [0.01, 0.1]},
        {"roles": ["stem"], "stages": [1, 1]},
        {"roles": []},
    ],
)
def test_a_rule_that_selects_nothing_is_refused(conditions: dict[str, Any]) -> None:
    message = r"norm\.at\.there selects no norm .* 3 stages and the roles block_end, first, stem"
    with pytest.raises(ValueError, match=message):
        placed(**conditions)


@pytest.mark.parametrize(
    ("rule", "named"),
    [({"layer": Other, "role": ["stem"]}, "'role'"), ({"roles": ["stem"]}, "'layer'")],
)
def test_a_rule_with_an_unknown_condition_or_no_layer_is_refused(
    rule: dict[str, Any], named: str
) -> None:
    known = r"norm\.at\.there takes layer and the conditions .*roles, stages, depth, last_in_stage"
    with pytest.raises(ValueError, match=f"{known}.*{named}"):
        place_norms(Net(), Chosen, at={"there": rule})


def test_a_network_without_norms_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match=r"the network has no norm.*norm_layer"):
        place_norms(network, Chosen)


def test_a_layer_that_does_not_fit_is_refused_with_its_place() -> None:
    def even_only(num_features: int) -> nn.Module:
        raise ValueError(f"{num_features} channels are too few")

    rule = {"layer": even_only, "stages": [2, 2]}
    with pytest.raises(ValueError, match=r"stage2\.0\.norm: 4 channels are too few"):
        place_norms(Net(), Chosen, at={"there": rule})


def test_a_network_of_the_users_own_needs_to_tell_nothing() -> None:
    network = resnet18(norm_layer=NormSite, num_classes=3)
    places = places_of(network)
    assert {(p.role, p.stage, p.stages) for p in places} == {("norm", 0, 0)}
    assert [p.depth for p in places] == pytest.approx([i / 19 for i in range(20)])

    at = {"early": {"layer": nn.InstanceNorm2d, "depth": [0, 0.5], "roles": ["norm"]}}
    place_norms(network, nn.BatchNorm2d, at=at)

    early = where(network, nn.InstanceNorm2d)
    late = where(network, nn.BatchNorm2d)
    assert early == [p.name for p in places[:10]]
    assert late == [p.name for p in places[10:]]
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 3)


def test_a_network_of_the_users_own_has_no_stem_to_select() -> None:
    network = resnet18(norm_layer=NormSite, num_classes=3)
    with pytest.raises(
        ValueError, match=r"norm\.at\.stem selects no norm.* roles norm; .*norm_roles$"
    ):
        place_norms(network, Chosen, at={"stem": {"layer": Other, "roles": ["stem"]}})


def test_a_network_with_one_norm_has_it_at_depth_0() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), NormSite(4))
    assert [p.depth for p in places_of(network)] == [0]


def test_the_change_of_convolutions_meets_each_of_them_once() -> None:
    network = Net()
    met: list[nn.Conv2d] = []
    place_norms(network, Chosen, conv=met.append)
    assert met == [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(met) == 7


def test_an_activation_is_replaced_where_it_follows_a_norm() -> None:
    network = Net()
    place_norms(network, Chosen, activation=nn.Identity)
    blocks = [name.removesuffix(".norm") for name in NORMS[1:]]
    assert where(network, nn.Identity) == [f"{block}.act" for block in blocks]
    assert where(network, nn.ReLU) == [f"{block}.last_act" for block in blocks]
    kept = [m for m in network.modules() if type(m) is nn.Identity]
    assert len({id(m) for m in kept}) == len(blocks)


def test_a_norm_with_an_activation_needs_a_network_that_tells_its_own() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), NormSite(4), nn.ReLU())
    with pytest.raises(ValueError, match="norm_activations"):
        place_norms(network, Chosen, activation=nn.Identity)


class FunctionalReLU(Net):
    """It names activations that are no modules."""

    norm_activations: ClassVar = "relu"


def test_a_norm_with_an_activation_is_refused_where_it_would_replace_none() -> None:
    with pytest.raises(ValueError, match="norm_activations='relu' is the name of no module"):
        place_norms(FunctionalReLU(), Chosen, activation=nn.Identity)
    network = Net()
    network.set_submodule("stage2.1.act", nn.Identity())
    with pytest.raises(ValueError, match=r"the network has none at stage2\.1\.act"):
        place_norms(network, Chosen, activation=nn.Identity)
    assert where(network, NormSite) == NORMS


class OnlyRoles(nn.Sequential):
    """It tells the roles of its norms and not which activations follow them."""

    def __init__(self, role: str) -> None:
        super().__init__(nn.Conv2d(3, 4, 1), NormSite(4), nn.ReLU(), NormSite(4))
        self.norm_roles = {"1": role}


def test_a_network_may_tell_its_roles_alone() -> None:
    network = OnlyRoles("stem")
    place_norms(network, Chosen, at={"there": {"layer": Other, "roles": ["stem"]}})
    assert where(network, Other) == ["1"]
    with pytest.raises(ValueError, match=r"norm_roles of the network: stm: of .*stem"):
        places_of(OnlyRoles("stm"))


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"roles": "stem"}, r"norm\.at\.there\.roles=stem: a list, such as \[stem\]"),
        ({"stages": [3, 1]}, r"norm\.at\.there\.stages=\[3, 1\]: from 3 to 1 is nothing"),
        ({"depth": [0.5, 0]}, r"norm\.at\.there\.depth=\[0\.5, 0\]: from 0\.5 to 0 is nothing"),
        ({"depth": 0.5}, r"norm\.at\.there\.depth=0\.5: two numbers are needed"),
    ],
)
def test_a_malformed_condition_is_told(conditions: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        placed(**conditions)


def test_a_rule_whose_places_another_one_took_is_told_so() -> None:
    at = {"a": {"layer": Other, "stages": [0, 2]}, "b": {"layer": Third, "roles": ["stem"]}}
    with pytest.raises(ValueError, match=r"norm\.at\.b selects nothing: rules before it"):
        place_norms(Net(), Chosen, at=at)


GROUPS = partial(GroupNorm, num_groups=3)


@pytest.mark.parametrize(
    ("layer", "at", "key"),
    [
        (GROUPS, {}, "norm.layer.num_groups"),
        (partial(NoisyNorm, norm_layer=GROUPS), {}, "norm.layer.norm_layer.num_groups"),
        (Chosen, {"there": {"layer": GROUPS}}, "norm.at.there.layer.num_groups"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_by_its_setting(
    layer: NormLayer, at: dict[str, Any], key: str
) -> None:
    with pytest.raises(ValueError, match=rf"num_groups=3 does not divide 4 channels.*\({key}\)"):
        place_norms(Net(), layer, at=at)


def test_placing_changes_no_weight_and_draws_no_random_number() -> None:
    torch.manual_seed(0)
    network = Net()
    before = {name: p.clone() for name, p in network.named_parameters()}
    state = torch.get_rng_state()
    place_norms(network, nn.BatchNorm2d)
    assert torch.equal(torch.get_rng_state(), state)
    after = dict(network.named_parameters())
    for name, weight in before.items():
        assert torch.equal(after[name], weight)
