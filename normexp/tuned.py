"""Learning rates that `normexp tune` chose, in files `tuned/<study>.yaml` below the outputs.

`optimizer.lr=tuned` takes the rate of the entry whose settings are the run's, but for the seed,
the contrast augmentation and the rate itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from normexp.errors import UserError
from normexp.runs import reference
from normexp.runs.files import write_atomic
from normexp.runs.plain import from_plain, to_plain
from normexp.runs.source import WEIGHTS, targets
from normexp.runs.spec import ContrastSpec, RunSpec
from normexp.runs.values import digest

WORD = "tuned"  # in the place of a learning rate
TRIALS = "tuning_"  # what the study of a tuning's runs begins with


class NotTunedError(UserError):
    """No rate was chosen for the settings of a run."""


@dataclass(frozen=True)
class Trial:
    """A learning rate that was tried."""

    lr: float
    seeds: tuple[int, ...]
    val_accuracy: tuple[float, ...]  # at the end, by seed, as shares; a diverged run counts as 0


@dataclass(frozen=True)
class Tuned:
    """The rate that was chosen for one norm at one batch size, and what else is given."""

    cell: str  # in words
    key: str  # what names its settings, see `key_of`
    lr: float
    at_edge: bool  # whether the best rate was the smallest or the largest that was tried
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class TunedFile:
    """What `normexp tune` found for a study."""

    command: str
    cells: tuple[Tuned, ...]


def key_of(spec: RunSpec) -> str:
    """Return what names the settings of a run but its seed, contrast and learning rate."""
    shared = replace(
        spec, seed=0, contrast=ContrastSpec("", {}), optimizer=replace(spec.optimizer, lr=1.0)
    )
    parts = {WEIGHTS, *(target.rpartition(".")[0] for target in targets(shared.settings))}
    source = {part: text for part, text in spec.source.items() if part in parts}
    return digest(replace(shared, source=source).identity)


def file_of(outputs: Path, study: str) -> Path:
    """Return where the rates of a study are kept."""
    return outputs / "tuned" / f"{study}.yaml"


def add_to_file(path: Path, content: TunedFile) -> None:
    """Write the rates beside those of other cells that the file has, whole or not at all."""
    before = {cell.key: cell for cell in read_tuned(path).cells}
    cells = before | {cell.key: cell for cell in content.cells}
    # As JSON has it: YAML knows no tuples.
    plain = json.loads(json.dumps(to_plain(replace(content, cells=tuple(cells.values())))))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode())


def read_tuned(path: Path) -> TunedFile:
    """Return the rates in a file, none without one; raises UserError if it is of something else."""
    if not path.exists():
        return TunedFile("", ())
    try:
        return from_plain(TunedFile, yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {reason}; remove it and tune again") from error


def tuned_rate(spec: RunSpec, outputs: Path) -> float:
    """Return the rate for a run, else the shipped one; raises NotTunedError where there is none."""
    wanted = key_of(spec)
    # A sweep asks for each cell: no file is read behind the one that has it.
    own = (read_tuned(file).cells for file in reversed(_by_age(outputs)))
    for cell in chain(chain.from_iterable(own), shipped_cells()):
        if cell.key == wanted:
            return cell.lr
    raise NotTunedError(
        f"optimizer.lr={WORD}: no rate was chosen for norm={spec.norm.name} "
        f"batch_size={spec.batch_size} with these settings"
    )


def tuned_cells(*outputs: Path) -> list[Tuned]:
    """Return all that was chosen, of whichever study; of one cell the last is the newest."""
    return [cell for file in _by_age(*outputs) for cell in read_tuned(file).cells]


def _by_age(*outputs: Path) -> list[Path]:
    """Return the files of rates, the newest last."""
    files = (file for each in outputs for file in _files(each))
    return sorted(files, key=lambda file: (file.stat().st_mtime_ns, file))


def shipped_cells() -> list[Tuned]:
    """Return all that was chosen for the runs that normexp ships."""
    files = (from_plain(TunedFile, plain) for plain in reference.about().tuned.values())
    return [cell for file in files for cell in file.cells]


def _files(outputs: Path) -> Sequence[Path]:
    return list((outputs / "tuned").glob("*.yaml"))
