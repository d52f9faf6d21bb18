"""A `RunSpec` in, a `Training` out: the network, images and optimizer that it describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normexp import inputs, shipped
from normexp.errors import UserError, as_user_error, one_line, raised_in
from normexp.parts import make, norm_parts, plain
from normexp.runs.names import several
from normexp.runs.runtime import Runtime
from normexp.runs.source import own_source
from normexp.runs.spec import RunSpec, Settings
from normexp.runs.tree import images_digest
from normexp.settings import ASKED, keys_of
from normexp.tuned import WORD, tuned_rate

if TYPE_CHECKING:  # torch takes seconds to import, and a finished run needs none of it
    import torch
    from torch import nn

    from normexp.engine.fit import Training


def conf_dir() -> str:
    """Return the folder of the shipped settings."""
    return str(shipped.conf_dir())


def cache_dir() -> str:
    """Return the folder of decoded images on this machine, where no other is given."""
    return str(OmegaConf.load(shipped.conf_dir() / "train.yaml").runtime.cache_dir)


OmegaConf.register_new_resolver("tree_digest", images_digest, replace=True)
OmegaConf.register_new_resolver(
    "last_word", lambda target: str(target).rpartition(".")[2], replace=True
)


def composed(overrides: Sequence[str]) -> DictConfig:
    """Return the settings of `normexp train` with these overrides.

    Raises UserError where Hydra cannot read them. It may be called within a Hydra application.
    """
    of_caller, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            return compose("train", overrides=list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(one_line(error)) from error
    finally:
        GlobalHydra.instance().hydra = of_caller  # Hydra has made another instance


def run_spec(cfg: DictConfig) -> tuple[RunSpec, Runtime]:
    """Check the settings of a run; raises UserError with the value and what is allowed."""
    return checked_spec(plain(cfg))


def checked_spec(settings: Settings) -> tuple[RunSpec, Runtime]:
    """As `run_spec`, of settings as plain values."""
    settings = dict(settings)
    asked = {key: settings.pop(key) for key in keys_of(ASKED) if key in settings}
    runtime = Runtime.from_settings(settings.pop("runtime"), asked)
    is_tuned, source = settings["optimizer"]["lr"] == WORD, own_source(settings)
    if is_tuned:  # any rate that can be checked, until the chosen one is known
        settings["optimizer"] = {**settings["optimizer"], "lr": 1.0}
    spec = RunSpec.from_settings(settings, source=source)
    if is_tuned:
        rate = tuned_rate(spec, Path(runtime.outputs).expanduser())
        spec = replace(spec, optimizer=replace(spec.optimizer, lr=rate))
    return spec, runtime


def training(spec: RunSpec, runtime: Runtime) -> tuple[Training, list[str]]:
    """Return what a run needs, and warnings; raises UserError where parts do not work together."""
    import torch

    from normexp import kernels
    from normexp.data.standardise import to_unit
    from normexp.engine.fit import Training
    from normexp.engine.schedule import Schedule, parameter_groups
    from normexp.engine.state import TrainingState
    from normexp.engine.step import Recipe
    from normexp.environment import choose_device, describe, keep_freed_memory
    from normexp.evaluation.accuracy import Evaluator
    from normexp.evaluation.features import NUM_IMAGES, feature_spread
    from normexp.evaluation.recalibration import recalibrate
    from normexp.models.check import check
    from normexp.models.others import freeze
    from normexp.precision import Precision

    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    device = choose_device(runtime.device)
    keep_freed_memory()
    precision = Precision.choose(spec.precision, device)
    with as_user_error():
        data = inputs.images(spec).to(device)
        standardise = inputs.standardiser(spec.data, data.train)
        train_loader = inputs.loader(spec, data.train, standardise)
    with as_user_error(f"norm={spec.norm.name}, model={spec.model.name}: "):
        net, norms, notes = built_network(spec, len(data.classes))
        height, width = data.train.images.shape[1:3]
        missing = kernels.missing(device) if spec.kernels == "auto" else ""
        warnings = [check(net, (height, width), spec.batch_size, len(data.classes), norms), missing]
    used = kernels.describe(device) if spec.kernels == "auto" else "none"
    net.to(device).to(memory_format=torch.channels_last)
    if spec.model.freeze:
        freeze(net, spec.model.freeze)
    if spec.model.recalibrate:
        with precision.autocast():
            recalibrate(net, inputs.first_batches(train_loader, spec.model.recalibrate))
    of = spec.optimizer
    images_per_step = spec.batch_size * spec.accumulate
    schedule = Schedule.scaled(of.lr, of.warmup, images_per_step, of.batch_exponent)
    groups = parameter_groups(net, of.weight_decay)
    steps_per_epoch = train_loader.batches_per_epoch // spec.accumulate
    if not steps_per_epoch:
        raise UserError(
            f"accumulate={spec.accumulate}: so many batches of {spec.batch_size} are more than the "
            f"{len(data.train)} training images; take fewer, or a larger data.limit"
        )
    total_steps = spec.steps or (spec.epochs or 0) * steps_per_epoch
    return Training(
        state=TrainingState.start(net, optimizer(spec, groups), device),
        data=data,
        loader=train_loader,
        recipe=Recipe(total_steps, schedule, spec.accumulate, spec.label_smoothing, precision),
        evaluator=Evaluator(standardise, precision),
        environment=describe(precision, used),
        feature_spread=feature_spread(net, standardise(to_unit(data.train.images[:NUM_IMAGES]))),
    ), [*data.notes, *notes, *(f"warning: {warning}" for warning in warnings if warning)]


def network(spec: RunSpec, num_classes: int) -> nn.Module:
    """Return the network with its norms in place.

    For one seed the convolutions start the same whatever the norm: the network is built around
    empty sites that draw no random number, and the norms come after.
    """
    return built_network(spec, num_classes)[0]


def built_network(spec: RunSpec, num_classes: int) -> tuple[nn.Module, list[str], list[str]]:
    """As `network`, with the names of the norms that were placed, and notes for the user."""
    import torch

    from normexp.kernels import accelerate
    from normexp.models.others import called
    from normexp.models.padding import set_padding_mode
    from normexp.norms.found import is_own, make_sites
    from normexp.norms.known import unsettled
    from normexp.norms.placing import place_norms

    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        make_network = make(spec.model.network, "model.network")
        parts = norm_parts(vars(spec.norm))
        keeps = is_own(parts["layer"])
        try:
            built, notes = called(make_network, num_classes, spec.model.weights, keeps)
        except RuntimeError as error:
            if raised_in(error) != "timm" or "Unknown model" not in str(error):
                raise
            raise UserError(f"model.network: {error}; timm.list_models() has the names") from error
        except TypeError as error:
            if raised_in(error) != "hydra":  # which makes the call, so it is of the network's code
                raise
            raise UserError(
                f"model.network: {error}; it is called with num_classes, with norm_layer where it "
                "names such an argument, and with the settings below model.network"
            ) from error
        if staying := make_sites(built):
            notes.append(f"norms that stay as they are, as they have no map: {several(staying)}")
        set_padding_mode(built, spec.model.padding_mode)
        norms = place_norms(built, **parts)
        if spec.model.weights and not spec.model.recalibrate and (new := unsettled(built)):
            notes.append(
                f"warning: running statistics of {several(new)} are not in the weights and start "
                "anew: model.recalibrate=200 estimates them before the training"
            )
        if spec.kernels == "auto":
            accelerate(built)
    return built, norms, notes


def optimizer(spec: RunSpec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    algorithm: Callable[..., torch.optim.Optimizer] = make(
        spec.optimizer.algorithm, "optimizer.algorithm"
    )
    for key in ("lr", "weight_decay"):
        if key in (spec.optimizer.algorithm or {}):
            raise UserError(f"optimizer.algorithm.{key} has no effect; optimizer.{key} is it")
    of_torch = (TypeError, ValueError, RuntimeError)
    with as_user_error(f"optimizer={spec.optimizer.name}: ", of_torch):
        # The loop sets each step's learning rate; the peak here only satisfies the constructor.
        return algorithm(groups, lr=spec.optimizer.lr)
