"""Learning rates that `normexp tune` chose, in files `tuned/<study>.yaml` below the outputs.

`optimizer.lr=tuned` takes the rate of the entry whose settings are the run's, but for the seed,
the contrast augmentation and the rate itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

from normexp.errors import UserError
from normexp.runs.files import write_atomic
from normexp.runs.plain import from_plain, to_plain
from normexp.runs.spec import ContrastSpec, RunSpec, digest

WORD = "tuned"
"""In the place of a learning rate."""


@dataclass(frozen=True)
class Trial:
    """A learning rate that was tried."""

    lr: float
    seeds: tuple[int, ...]
    val_accuracy: tuple[float, ...]
    """At the end of the training, by seed, as shares; a diverged run counts as 0."""


@dataclass(frozen=True)
class Tuned:
    """The rate that was chosen for one norm at one batch size, and what else is given."""

    cell: str
    """In words."""
    key: str
    """What names its settings, see `key_of`."""
    lr: float
    at_edge: bool
    """Whether the best rate was the smallest or the largest that was tried."""
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class TunedFile:
    """What `normexp tune` found for a study."""

    command: str
    cells: tuple[Tuned, ...]


def key_of(spec: RunSpec) -> str:
    """Return what names the settings of a run but its seed, contrast and learning rate."""
    plain = replace(
        spec,
        seed=0,
        contrast=ContrastSpec("", {}),
        optimizer=replace(spec.optimizer, lr=1.0),
    )
    return digest({**plain.settings, "numerics": plain.numerics, "source": plain.source})


def file_of(outputs: Path, study: str) -> Path:
    """Return where the rates of a study are kept."""
    return outputs / "tuned" / f"{study}.yaml"


def write_tuned(path: Path, content: TunedFile) -> None:
    """Write the rates, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, OmegaConf.to_yaml(OmegaConf.create(to_plain(content))).encode())


def read_tuned(path: Path) -> TunedFile:
    """Return the rates in a file; raises UserError where it is not what `normexp tune` writes."""
    try:
        return from_plain(TunedFile, OmegaConf.to_container(OmegaConf.load(path)))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {reason}; remove it and tune again") from error


def tuned_rate(spec: RunSpec, outputs: Path) -> float:
    """Return the rate for a run; raises UserError with the command where none was chosen."""
    wanted, newest = key_of(spec), sorted(_files(outputs), key=lambda file: file.stat().st_mtime)
    for file in reversed(newest):
        for cell in read_tuned(file).cells:
            if cell.key == wanted:
                return cell.lr
    raise UserError(
        f"optimizer.lr={WORD}: no rate was chosen for norm={spec.norm.name} "
        f"batch_size={spec.batch_size} with these settings; normexp tune norm={spec.norm.name} "
        f"batch_size={spec.batch_size} and the other settings as they are here"
    )


def tuned_cells(outputs: Path) -> list[Tuned]:
    """Return all that was chosen, of whichever study."""
    return [cell for file in sorted(_files(outputs)) for cell in read_tuned(file).cells]


def _files(outputs: Path) -> Sequence[Path]:
    return list((outputs / "tuned").glob("*.yaml"))
