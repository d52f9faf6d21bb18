"""Networks of others: called as they ask, with weights from a file."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from normexp.contracts import NormSite
from normexp.errors import UserError
from normexp.runs.names import several

OF_TORCHVISION = re.compile(r"\w+_Weights\.\w+")
"""Names of weights that torchvision downloads, such as ResNet18_Weights.IMAGENET1K_V1."""
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys below which training programs keep a state dict."""
PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before each name."""


def called(
    make: Callable[..., nn.Module], num_classes: int, weights: str | None, own: bool = False
) -> tuple[nn.Module, list[str]]:
    """Return the network of `make`, and notes for the user.

    A network with a parameter `norm_layer` is built around sites. Where it starts from `weights`
    or keeps its `own` norms, it is built with those that are the parameter's default; without one,
    weights are loaded beside torch's batch norm. Raises UserError where the weights do not fit.
    """
    required = inspect.Parameter.empty
    try:
        parameter = inspect.signature(make).parameters.get("norm_layer")
        default = None if parameter is None else parameter.default
        takes_layer = parameter is not None
    except ValueError:  # its arguments are wrong, as the call will say
        takes_layer, default = True, required
    if not takes_layer or ((weights or own) and default is not required):
        built = make(num_classes=num_classes)
    else:
        built = make(norm_layer=nn.BatchNorm2d if weights else NormSite, num_classes=num_classes)
    return built, load_weights(built, weights, num_classes) if weights else []


def load_weights(network: nn.Module, weights: str, num_classes: int) -> list[str]:
    """Load a state dict, from a file or by torchvision's name for it; return notes for the user.

    A last layer for another number of classes starts anew. Raises UserError where tensors are
    missing or have other shapes.
    """
    state, own = state_dict(weights), network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    others = {k for k, v in state.items() if k in own and v.shape != own[k].shape}
    head = {k for k in others if own[k].shape == (num_classes, *state[k].shape[1:])}
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    if missing and all(k.endswith(("running_mean", "running_var")) for k in missing):
        raise UserError(
            f"model.weights={weights} has no running statistics, as of a network without batch "
            "norm; weights are loaded beside batch norm, which norm= then replaces"
        )
    if others - head or missing:
        wrong = several([*missing, *sorted(others - head)])
        raise UserError(
            f"model.weights={weights} is not of this network: {len(missing)} of its {len(own)} "
            f"tensors are missing and {len(others - head)} have another shape ({wrong})"
        )
    network.load_state_dict(fitting, strict=False)
    notes = []
    if head:
        notes.append(
            f"warning: {several(sorted(head))} of model.weights={weights} are not for "
            f"{num_classes} classes, and start anew"
        )
    if left := sorted(state.keys() - own.keys()):
        notes.append(f"of model.weights={weights} not used: {several(left)}")
    return notes


def state_dict(weights: str) -> dict[str, Tensor]:
    """Return the tensors by name; raises UserError where there are none."""
    if OF_TORCHVISION.fullmatch(weights):
        return _downloaded(weights)
    file = Path(weights).expanduser()
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"model.weights={weights}: there is no such file") from error
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise UserError(
            f"model.weights={weights} cannot be read as a state dict, which "
            f"torch.save(network.state_dict(), file) writes: {str(error).splitlines()[0]}"
        ) from error
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise UserError(f"model.weights={weights} holds a {type(found).__name__}, no state dict")
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): v for name, v in tensors.items()}
    return tensors


def _downloaded(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_weight  # it takes a second to import

    try:
        found: dict[str, Tensor] = get_weight(name).get_state_dict(progress=False, check_hash=True)
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"model.weights={name}: torchvision has no weights of this name") from error
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"model.weights={name} could not be downloaded ({error}); model.weights=<file> takes a "
            "state dict from a file"
        ) from error
    return found


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Let the parameters whose names fit one of the `patterns` learn nothing.

    Patterns are those of file names: `layer1.*`. Raises UserError where one fits no parameter, or
    all are frozen.
    """
    named = dict(network.named_parameters())
    for pattern in patterns:
        fitting = [name for name in named if fnmatchcase(name, pattern)]
        if not fitting:
            raise UserError(
                f"model.freeze={pattern} fits no parameter, such as {several([*named])}"
            )
        for name in fitting:
            named[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in named.values()):
        raise UserError(f"model.freeze={','.join(patterns)} leaves nothing to train")
