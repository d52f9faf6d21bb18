"""`normexp recalibrate`: re-estimate running statistics over training batches, into a new file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from normexp.commands.composed import composed
from normexp.commands.evaluate import OF_A_TRAINING
from normexp.commands.found import finished, named
from normexp.commands.looking import lens_on, lens_on_network, spec_of
from normexp.commands.quoting import is_of_network
from normexp.commands.report import checked_settings
from normexp.errors import UserError
from normexp.runs.folder import RunFolder
from normexp.runs.runtime import Runtime
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS

if TYPE_CHECKING:  # torch takes seconds to import
    from normexp.evaluation.lens import Lens

OWN = [setting.key for setting in COMMANDS["recalibrate"]]


def main() -> int:
    """Recalibrate the network that the arguments name. Returns the exit code."""
    of_network = [argument for argument in sys.argv[1:] if is_of_network(argument, OWN)]
    sys.argv = [argument for argument in sys.argv if argument not in of_network]

    @composed("recalibrate")
    def task(cfg: DictConfig) -> None:
        settings = checked_settings(cfg, "recalibrate")
        print(write(settings, *lens_and_file(settings, of_network)))

    return task()


def lens_and_file(settings: Settings, of_network: Sequence[str]) -> tuple[Lens, Path]:
    """Return the lens on the network, and where its new state dict goes."""
    seen = {"seed": 0, "images": settings["images"]}
    to = settings["to"] and Path(settings["to"]).expanduser()
    if to and is_of_a_run(to):
        raise UserError(f"to={settings['to']}: a run keeps its own files there; name another file")
    if of_network:
        if settings["run"]:
            raise UserError(f"{of_network[0]}: a run has its own settings; leave them out, or run=")
        spec, runtime = spec_of(of_network, settings["runtime"])
        if spec.model.weights is None:
            raise UserError("model.weights is not given; add model.weights=<file of a state dict>")
        name = Path(spec.model.weights).expanduser()
        if to and to.resolve() == name.resolve():
            raise UserError(f"to={settings['to']} is the file of model.weights; name another file")
        file = name.with_name(f"{name.stem}-recalibrated.pt")
        return lens_on_network(spec, runtime, **seen)[0], to or file
    runtime = Runtime.from_settings({**settings["runtime"], **OF_A_TRAINING}, {"study": None})
    entries = finished(named(settings["run"], None, Path(runtime.outputs).expanduser()))
    if len(entries) > 1:
        names = ", ".join(entry.folder.name for entry in entries[:3])
        raise UserError(
            f"run={settings['run']} names {len(entries)} runs, and one is needed, such as: {names}"
        )
    folder = entries[0].folder
    lens, _ = lens_on(folder, runtime, **seen, trust=settings["trust"])
    return lens, to or folder.recalibrated


def is_of_a_run(file: Path) -> bool:
    """Whether a file lies in the folder of a run, and is not what `recalibrate` leaves there."""
    file = file.resolve()
    folder = RunFolder(file.parent)
    return folder.has_record() and file != folder.recalibrated


def write(settings: Settings, lens: Lens, file: Path) -> str:
    """Recalibrate the network, write its state dict, and return what has changed, in lines."""
    from normexp import tensors
    from normexp.evaluation.recalibration import recalibrate
    from normexp.evaluation.statistics import RUNNING
    from normexp.inputs import first_batches

    subject, loader = lens.subject, lens.loader
    before = subject.logits(RUNNING)
    with subject.precision.autocast():
        layers = recalibrate(subject.network, first_batches(loader, settings["batches"]))
    if not layers:
        raise UserError("the network has no running statistics: nothing to recalibrate")
    after = replace(subject, _kept={}).logits(RUNNING)
    shares = [subject.measures(each, before)["accuracy"] for each in (before, after)]
    tensors.save(file, subject.network.state_dict())
    batches = min(settings["batches"], loader.batches_per_epoch)
    return (
        f"{layers} layers recalibrated over {batches} batches of {loader.batch_size}: accuracy on "
        f"{len(subject.images)} test images {100 * shares[0]:.1f} % before, "
        f"{100 * shares[1]:.1f} % after\n{file}"
    )
