"""The places of norms in a network, and the rules that select some of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from normexp.contracts import EmptySite, NamesPlaces, NormLayer, NormSite, Place

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
    """Return the places of norms; raises ValueError where the network names an unknown role."""
    roles = network.norm_roles if isinstance(network, NamesPlaces) else {}
    if unknown := sorted(set(roles.values()) - ROLES):
        raise ValueError(
            f"norm_roles of the network: {', '.join(unknown)}: of {', '.join(sorted(ROLES))}"
        )
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


def _role_and_stage(name: str, roles: Mapping[str, str]) -> tuple[str, int]:
    for pattern, role in roles.items():
        if match := re.fullmatch(pattern, name):
            return role, int(match.groupdict().get("stage") or 0)
    return "norm", 0


def rule_of(name: str, conditions: Mapping[str, Any]) -> Rule:
    """Return the rule of these settings; raises ValueError where they are malformed."""
    try:
        rule = Rule(**conditions)
    except TypeError as error:
        known = ", ".join(Rule.__dataclass_fields__)
        raise ValueError(
            f"norm.at.{name} takes layer and the conditions {known}: {error}"
        ) from None
    if rule.roles is not None and not isinstance(rule.roles, list):
        raise ValueError(f"norm.at.{name}.roles={rule.roles}: a list, such as [{rule.roles}]")
    if rule.roles is not None and not set(rule.roles) <= ROLES:
        raise ValueError(f"norm.at.{name}.roles={rule.roles}: of {', '.join(sorted(ROLES))}")
    for key, pair in (("stages", rule.stages), ("depth", rule.depth)):
        if pair is None:
            continue
        is_pair = (
            isinstance(pair, list) and [isinstance(x, int | float) for x in pair] == [True] * 2
        )
        if not is_pair:
            raise ValueError(f"norm.at.{name}.{key}={pair}: two numbers are needed, from and to")
        start, end = pair
        if start > end and (start < 0) == (end < 0):
            raise ValueError(f"norm.at.{name}.{key}={pair}: from {start} to {end} is nothing")
    return rule
