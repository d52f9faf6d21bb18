"""Config in, objects out: the only place below the commands that knows Hydra."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from normexp.errors import UserError, mistakes_told
from normexp.runs.spec import RunSpec, Runtime
from normexp.runs.tree import images_digest

if TYPE_CHECKING:  # torch takes seconds to import, and a finished run needs none of it
    import torch
    from torch import nn

    from normexp.contracts import DataSource, LabelledImages
    from normexp.data.loader import Loader
    from normexp.data.split import Split
    from normexp.data.standardise import Standardise
    from normexp.engine.fit import Training


def conf_dir() -> str:
    """Return the folder of the shipped settings: in the package (wheel) or beside it (clone)."""
    package = Path(__file__).parent
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parent / "conf")


OmegaConf.register_new_resolver("tree_digest", images_digest, replace=True)


def run_spec(cfg: DictConfig) -> tuple[RunSpec, Runtime]:
    """Check the settings of a run; raises UserError with the value and what is allowed."""
    try:
        settings: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise _root_mistake(error) from error
    runtime = Runtime.from_settings(settings.pop("runtime"), settings.pop("study"))
    return RunSpec.from_settings(settings), runtime


def make(part: Any, key: str, **arguments: Any) -> Any:
    """Return the object that the node `part` describes; `key` names it to the user on an error."""
    if part is None:
        raise UserError(f"{key}=null: a part with a _target_ is needed")
    try:
        return instantiate(part, _convert_="all", **arguments)
    except (InstantiationException, OmegaConfBaseException) as error:
        raise _root_mistake(error, f"{key}: ") from error


def training(cfg: DictConfig, spec: RunSpec, runtime: Runtime) -> tuple[Training, list[str]]:
    """Return everything that a run needs, and warnings for the user.

    Raises UserError where a part cannot be made or the parts cannot work together.
    """
    import torch

    from normexp import kernels
    from normexp.data.standardise import standardiser
    from normexp.engine.fit import Recipe, Training
    from normexp.engine.schedule import Schedule, parameter_groups
    from normexp.engine.state import TrainingState
    from normexp.environment import choose_device, describe, keep_freed_memory
    from normexp.evaluation.accuracy import Evaluator
    from normexp.models.check import check
    from normexp.precision import Precision

    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    device = choose_device(runtime.device)
    keep_freed_memory()
    precision = Precision.choose(spec.precision, device)
    with mistakes_told():
        data = images(cfg).to(device)
        standardise = standardiser(cfg.data.standardise, data.train.images, cfg.data.red_scale)
        train_loader = loader(cfg, spec, data.train, standardise)
    with mistakes_told(f"norm={cfg.norm.name}, model={cfg.model.name}: "):
        net = network(cfg, len(data.classes))
        height, width = data.train.images.shape[1:3]
        warnings = [check(net, (height, width), spec.batch_size), kernels.missing(device)]
    net.to(device).to(memory_format=torch.channels_last)
    schedule = Schedule.scaled(
        cfg.optimizer.lr, cfg.optimizer.warmup, spec.batch_size, cfg.optimizer.batch_exponent
    )
    groups = parameter_groups(net, cfg.optimizer.weight_decay)
    total_steps = spec.steps or (spec.epochs or 0) * train_loader.steps_per_epoch
    return Training(
        state=TrainingState.start(net, optimizer(cfg, groups), device),
        data=data,
        loader=train_loader,
        recipe=Recipe(total_steps, schedule, spec.label_smoothing, precision),
        evaluator=Evaluator(standardise, precision),
        environment=describe(precision, kernels.describe(device)),
    ), [f"warning: {warning}" for warning in warnings if warning]


def images(cfg: DictConfig) -> Split:
    """Return the images for training, validation and test."""
    from normexp.data.gain import with_gains
    from normexp.data.split import split

    node = OmegaConf.to_container(cfg.data.source, resolve=True) if cfg.data.source else None
    source = _source(json.dumps(node))
    if cfg.data.gain_spread is not None:
        source = with_gains(source, cfg.data.gain_spread, cfg.seed)
    return split(source, cfg.data.limit, cfg.data.val_fraction)


@cache
def _source(node: str) -> DataSource:
    from normexp.contracts import DataSource

    source = make(json.loads(node), "data.source")
    if not isinstance(source, DataSource):
        raise UserError(f"data.source: {type(source).__name__} is no DataSource")
    return source


def loader(
    cfg: DictConfig, spec: RunSpec, train: LabelledImages, standardise: Standardise
) -> Loader:
    """Return what serves the training batches."""
    from normexp.contracts import Contrast
    from normexp.data.loader import Augmentation, Loader

    contrast = make(cfg.contrast.augmentation, "contrast.augmentation")
    if not isinstance(contrast, Contrast):
        raise UserError(
            f"contrast.augmentation: {type(contrast).__name__} is no Contrast; it needs draw() and "
            "to be called with images"
        )
    augmentation = Augmentation(cfg.data.crop, cfg.data.flip, contrast)
    return Loader(train, spec.batch_size, spec.seed, augmentation, standardise)


def network(cfg: DictConfig, num_classes: int) -> nn.Module:
    """Return the network with its norms in place.

    For one seed the convolutions start the same whatever the norm: the network is built around
    empty sites that draw no random number, and the norms come after.
    """
    import torch

    from normexp.contracts import NormSite
    from normexp.kernels import accelerate
    from normexp.models.padding import set_padding_mode
    from normexp.norms.placing import place_norms

    with torch.random.fork_rng():
        torch.manual_seed(cfg.seed)
        make_network = make(cfg.model.network, "model.network")
        try:
            built: nn.Module = make_network(norm_layer=NormSite, num_classes=num_classes)
        except TypeError as error:
            raise UserError(
                f"model.network: {error}; it is called with norm_layer, num_classes and the "
                "settings below model.network"
            ) from error
        set_padding_mode(built, cfg.model.padding_mode)
        parts = {
            key: make(cfg.norm[key], f"norm.{key}")
            for key in ("layer", "at", "conv", "activation", "init")
            if key in cfg.norm
        }
        if "layer" not in parts:
            raise UserError("norm.layer is not given; add norm.layer._target_=...")
        place_norms(built, **parts)
        accelerate(built)
    return built


def optimizer(cfg: DictConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return the optimizer over parameter `groups`."""
    from normexp.lean import spare_compiler

    spare_compiler()
    algorithm: Callable[..., torch.optim.Optimizer] = make(
        cfg.optimizer.algorithm, "optimizer.algorithm"
    )
    of_torch = (TypeError, ValueError, RuntimeError)
    with mistakes_told(f"optimizer={cfg.optimizer.name}: ", of_torch):
        # The loop sets each step's learning rate; the peak here only satisfies the constructor.
        return algorithm(groups, lr=cfg.optimizer.lr)


def _root_mistake(error: BaseException, prefix: str = "") -> UserError:
    """Return the innermost cause as a user's mistake, on one line."""
    if isinstance(error, MissingMandatoryValue):
        return UserError(f"{error.full_key} is not given; add {error.full_key}=...")
    cause = error
    # What a resolver raises is only the context of OmegaConf's error.
    while inner := cause.__cause__ or (
        cause.__context__ if isinstance(cause, InterpolationResolutionError) else None
    ):
        # Ours says it best already; Hydra's ImportError names the target.
        if isinstance(cause, UserError | ImportError):
            break
        cause = inner
    if isinstance(cause, UserError):
        return cause
    hint = " A file of your own must lie in the folder where you type normexp."
    return UserError(prefix + " ".join(str(cause).split()) + hint * isinstance(cause, ImportError))
