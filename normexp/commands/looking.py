"""Makes the lens on a finished run."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import hydra

from normexp import build
from normexp.commands.quoting import refuse_lists
from normexp.commands.trust import require_trusted
from normexp.errors import UserError, as_user_error
from normexp.kinds import typed
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.result import Environment
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec, Settings
from normexp.runs.tree import image_root, images_digest

if TYPE_CHECKING:  # torch takes seconds to import, and only a lens that is made needs it
    from torch import nn

    from normexp.engine.fit import Training
    from normexp.evaluation.lens import Lens
    from normexp.evaluation.subject import Subject


def lens_on(
    folder: RunFolder, runtime: Runtime, seed: int, images: int, trust: bool
) -> tuple[Lens, Environment]:
    """Return the lens on a finished run, with at most so many test images, and its environment.

    Raises UserError where the weights or the images of the run are not there any more, and where
    its record names what may not be called (`trust.py`).
    """
    from normexp import tensors
    from normexp.engine.step import training_step
    from normexp.evaluation.lens import Lens

    spec = folder.record().spec
    source = spec.data.source
    with as_user_error(f"{folder.name}: ", (UserError,)):
        for target in require_trusted(spec.settings, trust):
            print(f"trust=true: {folder.name} calls {target}", file=sys.stderr)
        if "content" in source:
            require_images(source["root"], source["content"])
        # What a trained network starts from is in its weights.
        spec = replace(spec, model=replace(spec.model, weights=None, recalibrate=None))
        fresh, _ = build.training(spec, runtime)
    trained = copy.deepcopy(fresh.state.network)
    try:
        trained.load_state_dict(tensors.load(folder.weights, fresh.state.totals.device))
    except (DamagedFileError, RuntimeError) as error:
        what = f"{folder.weights} is damaged, or does not fit the run's network any more"
        raise UserError(f"{what}; to make it again: {folder.again()}") from error
    batch = fresh.loader.epoch(0).batch(0)

    def step() -> None:
        fresh.state.step = 0
        training_step(fresh.state, [batch], fresh.recipe)

    return Lens(_subject(trained, fresh, seed, images), fresh.loader, step), fresh.environment


def require_images(root: str, content: str) -> None:
    """Raise UserError where the images of a run, by their digest, do not lie in `root` any more."""
    try:
        image_root(root)
    except UserError as error:
        raise UserError(f"its images are not in {root} any more; move them back there") from error
    if content != images_digest(root):
        raise UserError(
            f"the images in {root} are not those that it was trained on; move those back there"
        )


def spec_of(of_network: Sequence[str], runtime: Settings) -> tuple[RunSpec, Runtime]:
    """Return the settings of a network, from those typed as for a training.

    The network is one of others, with its own norms, unless `model=` and `norm=` say otherwise.
    """
    refuse_lists(of_network)
    where = [f"runtime.{key}={typed(value)}" for key, value in runtime.items()]
    cfg = hydra.compose("train", [*where, "model=custom", "norm=own", *of_network])
    return build.run_spec(cfg)


def lens_on_network(
    spec: RunSpec, runtime: Runtime, seed: int, images: int
) -> tuple[Lens, Environment]:
    """Return the lens on a network as it is, with at most so many test images."""
    from normexp.evaluation.lens import Lens

    made, notes = build.training(spec, runtime)
    for note in notes:
        print(note, file=sys.stderr)
    subject = _subject(made.state.network, made, seed, images)
    return Lens(subject, made.loader, lambda: None), made.environment


def _subject(network: nn.Module, of: Training, seed: int, images: int) -> Subject:
    from normexp.evaluation.subject import Subject

    test, standardise = of.data.test[:images], of.evaluator.standardise
    return Subject(network, test, standardise, of.recipe.precision, seed)
