"""Makes parts of their settings, by Hydra: the only place."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, errors

from normexp import shipped
from normexp.errors import UserError, raised_in, sentence, suggestion
from normexp.runs.source import own_file, search_own, targets
from normexp.runs.spec import Part

NORM_PARTS = ("layer", "at", "conv", "activation", "init")
EXAMPLES = {
    "norm.layer._target_": "mynorms.Halved, for the class Halved in mynorms.py",
    "model.network._target_": "mynets.Mine, for the class Mine in mynets.py",
    "model.network.model_name": "convnext_atto",
}


def plain(cfg: DictConfig, keys: Iterable[str] = ()) -> Any:
    """Return what is at the `keys` as plain values; raises UserError if it refers to nothing."""
    node: Any = cfg
    try:
        for key in keys:
            node = node[key]
        if not OmegaConf.is_config(node):
            return node
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except errors.OmegaConfBaseException as error:
        raise _root_cause(error) from None


def make(part: Part | None, key: str, **arguments: object) -> Any:
    """Return the object that `part` describes; `key` names it to the user on an error."""
    if part is None:
        raise UserError(f"{key}=null: a part with a _target_ is needed")
    try:
        search_own(part)
        return instantiate(part, _convert_="all", **arguments)
    except (InstantiationException, errors.OmegaConfBaseException) as error:
        is_given = not isinstance(error, errors.MissingMandatoryValue)
        if is_given and (lacking := _lacking(part)):
            raise UserError(f"{key}: {lacking}") from None
        raise _root_cause(error, f"{key}: ") from None


def shipped_norm(name: str) -> Mapping[str, Any]:
    """Return the parts of a norm in `conf/norm`, such as `both`; raises UserError for another."""
    files = shipped.choices("norm")
    if name == "custom" or "." in name:
        raise UserError(f"norm={name}: give the class or function itself in place of its name")
    if name not in files:
        raise UserError(f"norm={name}: there is no such norm; {suggestion(name, files)}")
    try:
        content = plain(OmegaConf.create({"norm": OmegaConf.load(files[name])}), ["norm"])
    except UserError as error:
        raise UserError(
            f"norm={name} depends on a setting of a training ({error}): make the layer yourself, "
            "and give it in place of the name"
        ) from None
    return norm_parts(content)


def norm_parts(norm: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the norm layer, and where given its placing, its change of convolutions, its ReLU."""
    parts = {key: norm.get(key) for key in NORM_PARTS}
    return {key: make(part, f"norm.{key}") for key, part in parts.items() if part is not None}


def _lacking(part: Part) -> str:
    """Return which class a module of the user's own lacks, and those that it has."""
    for target in targets(part):
        place, _, name = target.rpartition(".")
        if not place:
            return (
                f"_target_={target} is one word; a class is named with its file before it: "
                "mynorms.Halved is the class Halved in mynorms.py"
            )
        module = sys.modules.get(place)
        if module is None or hasattr(module, name) or not (file := own_file(place)):
            continue
        here = [k for k, v in vars(module).items() if getattr(v, "__module__", "") == place]
        return f"{file.name} has no {name}; {_has(here)}"
    return ""


def _has(names: list[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has no class or function"


def _root_cause(error: BaseException, prefix: str = "") -> BaseException:
    """Return the innermost cause: a UserError where settings can mend it, else as it was raised."""
    refers = re.search(r"Missing mandatory value: ([\w.]+)", str(error))
    key = error.full_key if isinstance(error, errors.MissingMandatoryValue) else None
    if key := key or (refers and refers[1]):
        example = f", such as {key}={EXAMPLES[key]}" if key in EXAMPLES else ""
        return UserError(f"{key} is not given; add {key}=...{example}")
    cause = error
    # What a resolver raises is only the context of OmegaConf's error.
    while inner := cause.__cause__ or (
        cause.__context__ if isinstance(cause, errors.InterpolationResolutionError) else None
    ):
        # Ours says it best already; Hydra's ImportError names the target.
        if isinstance(cause, UserError | ImportError):
            break
        cause = inner
    if isinstance(cause, UserError):
        return cause
    if isinstance(cause, ImportError):
        hint = "type normexp in the folder where the file lies, or add that folder to PYTHONPATH"
        if "timm" in str(cause):
            hint = "pip install timm brings its networks"
        return UserError(f"{prefix}{sentence(cause)} ({hint})")
    # Hydra calls the part, and itself raises what a call with other arguments raises.
    if isinstance(cause, ValueError | errors.OmegaConfBaseException) or raised_in(cause) == "hydra":
        return UserError(prefix + sentence(cause))
    return cause
