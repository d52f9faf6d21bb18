"""The runs of a tuning: cells at learning rates on exploration seeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from normexp.commands.grid import Grid
from normexp.commands.rates import rounded
from normexp.errors import UserError
from normexp.kinds import typed
from normexp.runs.spec import RunSpec
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended
from normexp.sweep.sweep import conclude
from normexp.tuned import TRIALS


class Launcher(Protocol):
    """What composes and carries out runs (`hydra_plugins/normexp_launcher`)."""

    def grid(self) -> Grid:
        """Return what composes settings."""

    def cells(self, job_overrides: Sequence[Sequence[str]]) -> list[Cell]:
        """Return the runs with these overrides, each of which is there once."""

    def carry_out(self, cells: Sequence[Cell]) -> Mapping[str, Ended]:
        """Carry out those that are not finished, and return how they ended, by label."""


@dataclass(frozen=True)
class ToTune:
    """A cell that gets a learning rate."""

    overrides: Sequence[str]
    default: float
    everywhere: Collection[str] = ()  # overrides that all cells have
    specs: dict[float, RunSpec] = field(default_factory=dict)  # by rate
    rates: dict[float, dict[int, float | None]] = field(default_factory=dict)
    """Validation accuracy by rate and seed; None where the run diverged."""

    def rate(self, factor: float) -> float:
        return rounded(self.default * factor)

    @property
    def spec(self) -> RunSpec:
        return next(iter(self.specs.values()))

    @property
    def name(self) -> str:
        spec = self.spec
        always = {"model": spec.model.name, "norm": spec.norm.name, "batch_size": spec.batch_size}
        if spec.accumulate > 1:
            always["accumulate"] = spec.accumulate
        silent = (*always, "contrast")  # which does not enter a choice
        own = [each for each in self.overrides if each not in self.everywhere]
        more = [each for each in own if each.partition("=")[0] not in silent]
        return " ".join([*(f"{key}={value}" for key, value in always.items()), *more])


def trial(of: ToTune, rate: float, seed: int, study: str) -> list[str]:
    own = (f"optimizer.lr={typed(rate)}", f"seed={seed}", f"study={TRIALS}{study}")
    return [*of.overrides, *own]


def trials(launcher: Launcher, study: str, wanted: Sequence[tuple[ToTune, float, int]]) -> None:
    """Train what has not been trained yet, and note what all found.

    Of a cell that cannot work nothing is noted, where such cells are left out (`skip_impossible`).
    """
    cells = launcher.cells([trial(of, rate, seed, study) for of, rate, seed in wanted])
    if any(cell.spec.epochs == 0 for cell in cells):
        raise UserError("epochs=0 trains nothing, so no rate can be chosen; give 1 or more")
    ends = launcher.carry_out(cells)
    left_out, possible = {}, []
    for (of, rate, seed), cell in zip(wanted, cells, strict=True):
        of.specs[rate] = cell.spec
        if (end := ends.get(cell.label)) and end.how == "left out":
            left_out[of.name] = end.words
        else:
            possible.append((of, rate, seed, cell))
    for name, why in left_out.items():
        print(f"left out: {name}: {why}")
    if any(not cell.is_finished for *_, cell in possible):
        conclude([cell for *_, cell in possible], ends)
        raise UserError(
            "no rate is chosen before all trials are finished; the same command tries again"
        )
    for of, rate, seed, cell in possible:
        result = cell.result()
        assert result is not None
        accuracy = result.last_epoch.val_accuracy if result.last_epoch else None
        of.rates.setdefault(rate, {})[seed] = accuracy
