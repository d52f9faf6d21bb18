"""Which norm stands where in a network.

A network is built around `NormSite`s. Placing puts the settings' norm layer at every site, or
another one at the sites that a rule selects by role, stage or depth.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from normexp.contracts import EmptySite, NamesActivations, NamesPlaces, NormLayer, NormSite, Place
from normexp.norms.filters import bared, change_filters
from normexp.norms.found import FoundSite, Own, is_own
from normexp.norms.known import norms_of
from normexp.norms.rules import places_of, rule_of
from normexp.runs.names import several

HINTS: Mapping[object, str] = {
    nn.GroupNorm: "; it takes the number of groups first: norm=group norm.layer.num_groups=8 is it",
    nn.LayerNorm: "; it is for the last dimensions: norm=layer or norm=layer2d is for images",
}
"""How to have classes of torch that are not called with the number of channels alone."""


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
    convolution, after a change by another norm of ours is taken off it; `activation()` replaces
    each activation that directly follows a norm. Before all that, `init(network, places)` changes
    the first weights.
    Raises ValueError where a rule is malformed or selects no place, or a layer does not fit.
    """
    places = places_of(network)
    if not places:
        if is_own(layer):
            return []
        raise ValueError(_without_sites(network))
    if init is not None:
        init(network, places)
    chosen = _chosen(network, places, layer, at or {})
    activations = [] if activation is None else list(_activations(network))
    filters_stay = conv is None and not any(map(bared, _convolutions(network)))
    layers = {
        place.name: _filled(network, place, *chosen[place.name], filters_stay)
        for place in places
        if place.name in chosen
    }
    for name, module in layers.items():
        network.set_submodule(name, module)
    if not is_own(layer):
        change_filters(_convolutions(network), conv)
    for name in activations:
        assert activation is not None
        network.set_submodule(name, activation())
    return list(layers)


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _without_sites(network: nn.Module) -> str:
    """Return why no norm can be replaced."""
    staying = norms_of(network)
    has = (
        f"holds norms without a map only ({several(staying)})"
        if staying
        else "holds none of torch's norms"
    )
    return (
        "the network has no norm that could be replaced: it makes none with an argument "
        f"norm_layer, and {has}; norm=own takes it as it is"
    )


def _chosen(
    network: nn.Module, places: Sequence[Place], layer: NormLayer, at: Mapping[str, Any]
) -> dict[str, tuple[NormLayer, str]]:
    """Return the layer of each place that has one, and the setting that gives it."""
    rules = {name: rule_of(name, conditions) for name, conditions in at.items()}
    last = {(p.role, p.stage): p.name for p in places}
    found: dict[str, tuple[NormLayer, str]] = {}
    used, fitting_somewhere = set(), set()
    for place in places:
        is_empty = isinstance(network.get_submodule(place.name), EmptySite)
        fitting = [
            name
            for name, rule in rules.items()
            if not (is_empty and place.role not in (rule.roles or ()))
            and rule.selects(place, last[place.role, place.stage] == place.name)
        ]
        fitting_somewhere |= set(fitting)
        if fitting:
            used.add(fitting[0])
            found[place.name] = rules[fitting[0]].layer, f"norm.at.{fitting[0]}.layer"
        elif not is_empty:
            found[place.name] = layer, "norm.layer"
    for name in rules.keys() - used:
        if name in fitting_somewhere:
            raise ValueError(
                f"norm.at.{name} selects nothing: rules before it have all its places, and the "
                "first that selects a place wins"
            )
        have = ", ".join(sorted({p.role for p in places}))
        tells = isinstance(network, NamesPlaces)
        raise ValueError(
            f"norm.at.{name} selects no norm of this network, which has {places[0].stages} "
            f"stages and the roles {have}"
            + "; a network of your own names its roles in norm_roles"
            * (not tells)
        )
    return found


def _activations(network: nn.Module) -> Iterator[str]:
    """Yield the names of the activations after a norm; raises ValueError where there are none."""
    if not isinstance(network, NamesActivations):
        raise ValueError(
            "this norm brings its own activation, but the network does not tell which of its "
            "activations follow a norm: give it the attribute norm_activations"
        )
    pattern = network.norm_activations
    names = [name for name, _ in network.named_modules() if re.fullmatch(pattern, name)]
    if not names:
        raise ValueError(
            "this norm brings its own activation, but the network has none after a norm that it "
            f"could replace (norm_activations={pattern!r} is the name of no module); model=cnn has "
            "them at model.order=conv-norm-act"
        )
    for name in names:
        if isinstance(network.get_submodule(name), nn.Identity):
            raise ValueError(
                f"this norm brings its own activation, but the network has none at {name}, where "
                "it would be added: model=cnn has one at model.after=relu-pool and flatten"
            )
        yield name


def _filled(
    network: nn.Module, place: Place, layer: NormLayer, key: str, filters_stay: bool
) -> nn.Module:
    """Return what stands at a place with a new norm; `key` is the setting of `layer`."""
    site = network.get_submodule(place.name)
    assert isinstance(site, NormSite)
    try:
        made = layer(site.num_features)
        if not isinstance(made, nn.Module):
            raise TypeError(f"it makes {made!r}, and a torch.nn.Module is needed")  # noqa: TRY301
        if isinstance(site, FoundSite):
            return site.filled(made, filters_stay)
    except (TypeError, ValueError) as error:
        hint = HINTS.get(getattr(layer, "func", None), "")
        named = [
            known for known in _settings(layer, key) if f"{known.split('.')[-1]}=" in str(error)
        ]
        hint += f" ({', '.join(named)})" * bool(named)
        raise ValueError(f"the norm cannot stand at {place.name}: {error}{hint}") from error
    if isinstance(made, Own):
        raise ValueError(
            f"the network has no norm of its own at {place.name}, as it is made with norm_layer; "
            "norm=own is for networks of others"
        )
    return made


def _settings(layer: NormLayer, key: str) -> Iterator[str]:
    """Yield the settings of the arguments of a layer, and of layers among them."""
    if isinstance(layer, partial):
        for name, value in layer.keywords.items():
            yield f"{key}.{name}"
            yield from _settings(value, f"{key}.{name}")
