"""Makes the lens on a finished run."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING

from normexp import build
from normexp.commands.trust import require_trusted
from normexp.errors import UserError, as_user_error
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.result import Environment
from normexp.runs.spec import Runtime
from normexp.runs.tree import images_digest

if TYPE_CHECKING:  # torch takes seconds to import, and only a lens that is made needs it
    from normexp.evaluation.lens import Lens


def lens_on(
    folder: RunFolder, runtime: Runtime, seed: int, images: int, trust: bool
) -> tuple[Lens, Environment]:
    """Return the lens on a finished run, with at most so many test images, and its environment.

    Raises UserError where the weights or the images of the run are not there any more, and where
    its record names what may not be called (`trust.py`).
    """
    from normexp import tensors
    from normexp.engine.fit import training_step
    from normexp.evaluation.lens import Lens
    from normexp.evaluation.subject import Subject

    spec = folder.record().spec
    source = spec.data.source
    with as_user_error(f"{folder.name}: ", (UserError,)):
        for target in require_trusted(spec.settings, trust):
            print(f"trust=true: {folder.name} calls {target}", file=sys.stderr)
        if "content" in source and source["content"] != images_digest(source["root"]):
            raise UserError(f"the images in {source['root']} are not those that it was trained on")
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

    test, standardise = fresh.data.test[:images], fresh.evaluator.standardise
    subject = Subject(trained, test, standardise, fresh.recipe.precision, seed)
    return Lens(subject, fresh.loader, step), fresh.environment
