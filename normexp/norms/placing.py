"""Which norm stands where in a network.

A network is built around `NormSite`s. Placing puts the settings' norm layer at every site, or
another one at the sites that a rule selects by role, stage or depth.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from normexp.contracts import EmptySite, NamesPlaces, NormLayer, NormSite, Place
from normexp.norms.found import FoundSite, Own

HINTS: Mapping[object, str] = {
    nn.GroupNorm: "; it takes the number of groups first: norm=group norm.layer.num_groups=8 is it",
    nn.LayerNorm: "; it is for the last dimensions: norm=layer or norm=layer2d is for images",
}
"""How to have classes of torch that are not called with the number of channels alone."""
ROLES = {"stem", "first", "last", "shortcut", "block_end", "norm"}


@dataclass(frozen=True)
class Rule:
    """The places where `layer` stands: those that fit every condition that is given."""

    layer: NormLayer
    roles: list[str] | None = None
    stages: list[int] | None = None
    """First and last stage, both included; negative ones count from the end."""
    depth: list[float] | None = None  # from (included) to (excluded, but 1 includes the last norm)
    last_in_stage: bool = False  # only the last place of its role in a stage

    def selects(self, place: Place, is_last_in_stage: bool) -> bool:
        if self.roles is not None and place.role not in self.roles:
            return False
        if self.stages is not None:
            first, last = (s if s >= 0 else place.stages + 1 + s for s in self.stages)
            if not first <= place.stage <= last:
                return False
        if self.depth is not None:
            start, end = self.depth
            if not (start <= place.depth < end or place.depth == end == 1):
                return False
        return is_last_in_stage or not self.last_in_stage


def places_of(network: nn.Module) -> list[Place]:
    roles = network.norm_roles if isinstance(network, NamesPlaces) else {}
    sites = [(name, m) for name, m in network.named_modules() if isinstance(m, NormSite)]
    found = [(name, *_role_and_stage(name, roles)) for name, _ in sites]
    stages = max((stage for _, _, stage in found), default=0)
    norms = [name for name, site in sites if not isinstance(site, EmptySite)]
    # An empty site is as deep as the norm before it.
    depth, seen = {}, -1
    for name, _ in sites:
        seen += name in norms
        depth[name] = max(seen, 0) / max(len(norms) - 1, 1)
    return [Place(name, role, stage, stages, depth[name]) for name, role, stage in found]


def place_norms(
    network: nn.Module,
    layer: NormLayer,
    at: Mapping[str, Mapping[str, Any]] | None = None,
    conv: Callable[[nn.Conv2d], None] | None = None,
    activation: Callable[[], nn.Module] | None = None,
    init: Callable[[nn.Module, list[Place]], None] | None = None,
) -> list[str]:
    """Replace every site of `network`, in place, and return the names of the norms.

    `at`: rules by name (see `Rule`); the first that selects a place wins, else `layer` stands
    there; an `EmptySite` stays empty unless a rule names its role. `conv` is applied to every
    convolution; `activation()` replaces each activation that directly follows a norm. Before all
    that, `init(network, places)` changes the first weights.
    Raises ValueError where a rule is malformed or selects no place, or a layer does not fit.
    """
    places = places_of(network)
    if not places:
        if getattr(layer, "func", layer) is Own:
            return []
        raise ValueError(
            "the network has no norm that could be replaced: it makes none with an argument "
            "norm_layer, and holds none of torch's norms; norm=own takes it as it is"
        )
    if init is not None:
        init(network, places)
    last = {(p.role, p.stage): p.name for p in places}
    rules = {name: _rule(name, conditions) for name, conditions in (at or {}).items()}
    used, placed = set(), []
    for place in places:
        chosen: NormLayer | None = layer
        if isinstance(network.get_submodule(place.name), EmptySite):
            chosen = None
        for name, rule in rules.items():
            if chosen is None and place.role not in (rule.roles or ()):
                continue
            if rule.selects(place, last[place.role, place.stage] == place.name):
                chosen = rule.layer
                used.add(name)
                break
        if chosen is not None:
            site = network.get_submodule(place.name)
            assert isinstance(site, NormSite)
            network.set_submodule(place.name, _filled(site, place, chosen))
            placed.append(place.name)
    for name in rules.keys() - used:
        have = ", ".join(sorted({p.role for p in places}))
        raise ValueError(
            f"norm.at.{name} selects no norm of this network, which has {places[0].stages} "
            f"stages and the roles {have}"
        )
    if conv is not None:
        for module in [m for m in network.modules() if isinstance(m, nn.Conv2d)]:
            conv(module)
    if activation is not None:
        if not isinstance(network, NamesPlaces):
            raise ValueError(
                "this norm brings its own activation, but the network does not tell which of its "
                "activations follow a norm: give it the attribute norm_activations"
            )
        for name in [name for name, _ in network.named_modules()]:
            if re.fullmatch(network.norm_activations, name):
                network.set_submodule(name, activation())
    return placed


def _role_and_stage(name: str, roles: Mapping[str, str]) -> tuple[str, int]:
    for pattern, role in roles.items():
        if match := re.fullmatch(pattern, name):
            return role, int(match.groupdict().get("stage") or 0)
    return "norm", 0


def _rule(name: str, conditions: Mapping[str, Any]) -> Rule:
    try:
        rule = Rule(**conditions)
    except TypeError as error:
        known = ", ".join(Rule.__dataclass_fields__)
        raise ValueError(
            f"norm.at.{name} takes layer and the conditions {known}: {error}"
        ) from None
    if rule.roles is not None and not set(rule.roles) <= ROLES:
        raise ValueError(f"norm.at.{name}.roles={rule.roles}: of {', '.join(sorted(ROLES))}")
    for key, pair in (("stages", rule.stages), ("depth", rule.depth)):
        is_pair = (
            isinstance(pair, list) and [isinstance(x, int | float) for x in pair] == [True] * 2
        )
        if pair is not None and not is_pair:
            raise ValueError(f"norm.at.{name}.{key}={pair}: two numbers are needed, from and to")
    return rule


def _filled(site: NormSite, place: Place, layer: NormLayer) -> nn.Module:
    try:
        made = layer(site.num_features)
        if isinstance(site, FoundSite):
            return site.filled(made)
    except (TypeError, ValueError) as error:
        hint = HINTS.get(getattr(layer, "func", None), "")
        raise ValueError(f"the norm cannot stand at {place.name}: {error}{hint}") from error
    if isinstance(made, Own):
        raise ValueError(
            f"the network has no norm of its own at {place.name}, as it is made with norm_layer; "
            "norm=own is for networks of others"
        )
    return made
