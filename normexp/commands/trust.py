"""Which targets of a run's record may be called.

What is typed, or in a file that is typed, is the user's own. A record may come from somebody else,
and a target in it is a call of any function of any package.
"""

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from normexp.errors import UserError
from normexp.runs.spec import Settings
from normexp.settings import PARTS
from normexp.shipped import choices

FAMILIES = {
    "torch.nn": ("torch.nn", "Module"),
    "torch.optim": ("torch.optim", "Optimizer"),
    "torchvision.models": ("torch.nn", "Module"),
}
"""Packages whose classes may be made, and what these classes must be."""
NEVER = sys.stdlib_module_names | {"torch", "torchvision", "numpy", "timm", "normexp", "hydra"}
"""Packages whose other functions are no parts of a training, whoever is trusted."""
OF_TIMM = frozenset(("_target_", "_partial_", "model_name", "num_classes", "in_chans", "drop_rate"))
"""Arguments of `timm.create_model` that read no file and no other machine's."""


def require_trusted(settings: Settings, trust: bool) -> list[str]:
    """Return the targets that only `trust` lets through; raises UserError where one may not be.

    Nothing is called, and nothing imported but torch and torchvision.
    """
    trusted = []
    for node in _nodes(settings):
        if isinstance(node, str):
            if "${" in node:
                raise UserError(f"its record refers to other settings by {node}, as none does")
            continue
        target = node["_target_"]
        if _is_known(target, node):
            continue
        name = str(target)
        if not isinstance(target, str) or name.partition(".")[0] in NEVER:
            raise UserError(f"its record names {name}, which is no part of a training")
        if not trust:
            raise UserError(
                f"its record names {name}, which is code from outside normexp, torch and "
                "torchvision; where it is yours, or you trust it, add trust=true (in Python "
                "trust=True), and it is called"
            )
        trusted.append(name)
    return sorted(set(trusted))


def _nodes(node: object) -> Iterator[str | Mapping[str, object]]:
    """Yield every text of nested settings, and every mapping that has a `_target_`."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        if "_target_" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for each in node:
            yield from _nodes(each)


def _is_known(target: object, part: Mapping[str, object]) -> bool:
    if not isinstance(target, str):
        return False
    if target == "timm.create_model":
        is_plain = re.fullmatch(r"[\w.]+", str(part.get("model_name"))) is not None
        return is_plain and OF_TIMM.issuperset(part)
    return target in own_parts() or _is_of_family(target)


@cache
def own_parts() -> frozenset[str]:
    """Return the targets in the shipped settings of a training."""
    files = [file for group in PARTS for file in choices(group).values()]
    texts = [file.read_text(encoding="utf-8") for file in files]
    return frozenset(name for text in texts for name in re.findall(r"_target_: *([\w.]+)", text))


def _is_of_family(target: str) -> bool:
    """Whether `target` is a class of layers, optimizers or networks, or builds a network."""
    place, _, name = target.rpartition(".")
    for family, (package, base) in FAMILIES.items():
        if not f"{place}.".startswith(f"{family}."):
            continue
        try:
            made = getattr(importlib.import_module(place), name, None)
        except (ImportError, ValueError):
            return False
        if family == "torchvision.models" and place == family:
            models = importlib.import_module(family)
            if name in models.list_models():
                return True
        kind = getattr(importlib.import_module(package), base)
        is_class = isinstance(made, type) and issubclass(made, kind)
        return is_class and f"{made.__module__}.".startswith(f"{family}.")
    return False
