"""Training, loading and reading runs from Python; `docs/python.md` has examples."""

from __future__ import annotations

import shlex
import threading
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from normexp import build, inputs
from normexp.commands.from_python import as_typed
from normexp.commands.meant import as_meant
from normexp.commands.train import carry_out
from normexp.commands.trust import require_trusted
from normexp.errors import UserError
from normexp.runs.catalogue import read_runs, unreadable
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.result import RunResult
from normexp.runs.spec import RunSpec, Settings
from normexp.runs.tree import images_digest

if TYPE_CHECKING:  # torch takes seconds to import, and `results` needs none of it
    from torch import Tensor, nn

    from normexp.data.standardise import Standardise
    from normexp.pictures import Pictures

_ALONE = threading.RLock()
"""Hydra, torch's defaults and what is known of the user's files are the whole process's."""


@dataclass(frozen=True, repr=False)
class Trained:
    """A trained network, with what it takes to use it.

    >>> trained = normexp.load("outputs/runs/cnn-both-b4-none-s0-1a2b3c4d")
    >>> trained.predict("cat.jpg")
    ['cat']
    """

    folder: Path
    spec: RunSpec
    result: RunResult
    network: nn.Module
    """Standardised images float (N, 3, H, W) to logits (N, K), in eval mode, on the CPU."""
    standardise: Standardise
    """Images float (N, 3, H, W) in [0, 1] to the same shape, as they were standardised."""

    def __repr__(self) -> str:
        test = self.result.test
        found = f"{100 * test.accuracy:.1f} % of test images right" if test else "diverged"
        return f"<Trained {self.folder.name}: {len(self.classes)} classes, {found}>"

    @property
    def settings(self) -> Settings:
        """The settings of the run, in the groups that they are typed in."""
        return self.spec.settings

    @property
    def classes(self) -> tuple[str, ...]:
        """The K names of the classes, in the order of the logits."""
        return self.result.classes

    def images(self, pictures: Pictures) -> Tensor:
        """Return float (N, 3, H, W) in [0, 1] of pictures of any kind.

        uint8 arrays (N, H, W, 3) or (H, W, 3) and uint8 tensors (N, 3, H, W) or (3, H, W) are
        taken as they are; of files and PIL images the shorter side is scaled to the size that was
        trained on, and the middle cut out. Raises UserError where a file cannot be read, and for
        anything else.
        """
        import torch

        from normexp.data.standardise import to_unit
        from normexp.pictures import pixels_of

        size = self.result.inputs.height if self.result.inputs else self.spec.data.resize
        return to_unit(torch.from_numpy(pixels_of(pictures, size)))

    def logits(self, pictures: Pictures) -> Tensor:
        """Return the logits (N, K) of pictures of any kind (see `images`)."""
        import torch

        with torch.no_grad():
            logits: Tensor = self.network(self.standardise(self.images(pictures)))
        return logits

    def predict(self, pictures: Pictures) -> list[str]:
        """Return the name of the likeliest class of each of the pictures (see `images`).

        Raises UserError where the run diverged.
        """
        if self.result.test is None:
            raise UserError(f"{self.folder.name} diverged: its logits are no numbers")
        return [self.classes[i] for i in self.logits(pictures).argmax(1).tolist()]

    def module(self) -> nn.Module:
        """Return a module from images float (N, 3, H, W) in [0, 1] to logits (N, K)."""
        from normexp.models.standardised import Standardised

        return Standardised(self.standardise, self.network).eval()

    def export(self, file: str | Path) -> None:
        """Write `module()` to a file: `.pt2` by torch.export, `.onnx` where onnx is installed.

        The number of images is free, their height and width are those that were trained on.
        """
        from normexp.models.standardised import export

        inputs, file = self.result.inputs, Path(file).expanduser()
        export(self.module(), file, (inputs.height, inputs.width) if inputs else (32, 32))


def load(folder: str | Path, trust: bool = False) -> Trained:
    """Return the network of a finished run, by its folder, `outputs/runs/<name>`.

    The images that it was trained on need not be there. A network or a norm of your own is called
    with `trust=True` only, as a record may come from somebody else. Raises UserError where there is
    no finished run, where a file of it is damaged, and where the code of its network has changed.
    """
    from normexp import tensors
    from normexp.environment import like_a_process

    of = RunFolder(Path(folder).expanduser())
    try:
        if not of.record_file.exists() or (result := of.result()) is None:
            raise UserError(
                f"{folder} is no folder of a finished run, as outputs/runs/<name> is; "
                "normexp.results() lists them"
            )
        spec = of.record().spec
    except DamagedFileError as error:
        raise UserError(unreadable(error)) from error
    require_trusted(spec.settings, trust)
    if lost := of.lost_weights():
        raise UserError(lost)
    # Plain layers of torch, which can be exported, with the same parameters and names.
    plain = replace(spec, kernels="none", model=replace(spec.model, weights=None))
    with _ALONE, like_a_process():
        network = build.network(plain, len(result.classes))
        try:
            network.load_state_dict(tensors.load(of.weights))
        except RuntimeError as error:
            raise UserError(
                f"{of.weights} does not fit its network, whose code has changed since; to make it "
                f"again: {of.again()}"
            ) from error
        return Trained(of.path, spec, result, network.eval(), _standardiser(spec, result))


def results(outputs: str | Path = "outputs") -> list[dict[str, object]]:
    """Return a row for each run below `outputs`: its settings, and what it found.

    Accuracies are shares; None where a run is not finished, or diverged; that of
    validation also where it was not trained. A run that cannot be read is left out, with a
    warning. Raises UserError where there is no such folder, and for a folder within the outputs.

    >>> pandas.DataFrame(normexp.results("outputs")).groupby("norm").test_accuracy.mean()
    """
    folder = Path(outputs).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {outputs}; normexp.train(...) makes it")
    rows: list[dict[str, object]] = []
    found_runs = read_runs(folder)
    for problem in found_runs.problems:
        warnings.warn(problem, stacklevel=2)
    for entry in found_runs.entries:
        result, factors = entry.result, entry.factors
        test = result.test if result else None
        last = result.last_epoch if result else None
        found = {
            "state": entry.state,
            "val_accuracy": last.val_accuracy if last else None,
            "test_accuracy": test.accuracy if test else None,
            **{
                f"test_accuracy_contrast_{s}": test.contrast[str(s)] if test else None
                for s in range(1, 6)
            },
            "seconds": result.timing.seconds if result else None,
            "studies": entry.record.studies,
            "folder": str(entry.folder.path),
        }
        rows.append({**factors, **found})
    return rows


def train(*overrides: str, **settings: object) -> Trained:
    """Train a run, or go on with it, and return its network; a finished one is not trained again.

    Settings are those of `normexp train`; those with a dot are texts, as on the command line.
    Raises UserError as the command line tells it. Torch's random numbers, threads and default type
    are the caller's again afterwards.

    >>> normexp.train("optimizer.lr=0.1", norm="instance", batch_size=4, data="generated")
    """
    from normexp.environment import like_a_process

    with _ALONE, like_a_process():
        images_digest.cache_clear()  # images may have come since the last call
        given = as_typed(overrides, settings)
        spec, runtime = build.run_spec(build.composed(as_meant(given, build.conf_dir())))
        carry_out(spec, runtime, shlex.join(["normexp", "train", *given]))
    return load(RunFolder.of(Path(runtime.outputs).expanduser(), spec).path, trust=True)


def _standardiser(spec: RunSpec, result: RunResult) -> Standardise:
    """Return what standardised the run's images; of an old record, measured on them again."""
    from normexp.data.standardise import of_record

    if result.inputs is None:
        return inputs.standardiser(spec.data, inputs.images(spec).train)
    return of_record(result.inputs.mean, result.inputs.std, spec.data.red_scale)
