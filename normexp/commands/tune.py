"""`normexp tune`: a learning rate for each norm at each batch size, chosen by validation accuracy.

Every cell gets the same number of trials: five rates in factors of 2 around the default on one
exploration seed, then its two best on two more. The grid is widened by a factor of 2 at most twice,
for all cells alike, where a best rate lies at its edge (`docs/statistics.md`).
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from normexp.commands import train
from normexp.commands.grid import Grid
from normexp.commands.rates import (
    FACTORS,
    FIRST_SEED,
    MORE_SEEDS,
    MOST_WIDENINGS,
    chosen,
    two_best,
    widened,
)
from normexp.commands.trials import Launcher, ToTune, trial, trials
from normexp.errors import UserError
from normexp.kinds import typed
from normexp.runs.text import aligned
from normexp.settings import OWN_STUDY, checked
from normexp.tuned import WORD, Trial, Tuned, TunedFile, add_to_file, file_of, key_of, read_tuned

HELP = """\
usage: normexp tune norm=batch,instance batch_size=4,128 [key=value ...]

Trains each norm at each batch size (and whatever else is a list) with five
learning rates in factors of 2 around optimizer.lr on seed 1000, and its two
best on seeds 1001 and 1002, at the budget that is given (epochs=, steps=,
data.limit=). Of these two it chooses the one that diverged on fewer seeds, else
by validation accuracy: the smaller rate where they differ by no more than the
error. Where a best rate is the smallest or the largest, all cells get a further
one, at most twice.

Writes tuned/<study>.yaml below runtime.outputs (study= names it);
optimizer.lr=tuned then takes the rate whose settings are the run's but for the
seed and the contrast augmentation. Typed again, it goes on where it stopped.
Takes the settings of normexp train (see normexp train --help), experiment= too.

examples:
  normexp tune norm=batch,instance,both,none batch_size=4,128 epochs=5
  normexp train -m norm=batch,instance,both,none batch_size=4,128 epochs=5 \\
    optimizer.lr=tuned seed=0,1,2,3,4,5
"""
OWN = ("seed", "until", "max_seeds")  # what tuning decides by itself
DEFAULT_STUDY = "tuned"


def main() -> int:
    arguments = [each for each in sys.argv[1:] if each not in ("-m", "--multirun")]
    if not arguments or {"-h", "--help"} & {*arguments}:
        print(HELP)
        return 0
    if clash := [each for each in arguments if key(each) in OWN]:
        raise UserError(f"{clash[0]}: normexp tune decides this by itself; leave it out")
    sys.argv = ["normexp tune", "-m", "hydra/sweeper=tune", *arguments]
    return train.main()


def tune(lists: Sequence[Sequence[str]], launcher: Launcher, command: str) -> None:
    """Choose a rate for each of the cells that `lists` of overrides name, and write them.

    Raises UserError where a trial fails, and where no rate can be chosen for some cell.
    """
    grid = launcher.grid()
    study = study_of(grid.cell(each)[0] for each in lists)
    kept = [[each for each in own if key(each) not in (*OWN, "study")] for own in lists]
    everywhere = set(kept[0]).intersection(*kept)
    given = [ToTune(without_rate(own), default_rate(grid, own), everywhere) for own in kept]
    given, outputs = distinct(given, launcher, study)
    read_tuned(file_of(outputs, study))
    given = explore(given, launcher, study)
    wanted = [(e, rate, seed) for e in given for rate in two_best(e.rates) for seed in MORE_SEEDS]
    trials(launcher, study, wanted)
    by_cell = [(each, tuned_of(each)) for each in given]
    if found := [tuned for _, tuned in by_cell if tuned]:
        add_to_file(file_of(outputs, study), TunedFile(command, tuple(found)))
        print("\n".join(last_words(found, file_of(outputs, study))))
    if lost := [each.name for each, tuned in by_cell if not tuned]:
        raise UserError(
            f"{', '.join(lost)}: every learning rate diverged, so none is chosen; give a smaller "
            "optimizer.lr"
        )


def explore(given: Sequence[ToTune], launcher: Launcher, study: str) -> list[ToTune]:
    """Train every cell at the same multiples of its default rate on the first seed.

    Returns those that can work.
    """
    factors = list(FACTORS)
    for widenings in range(MOST_WIDENINGS + 1):
        wanted = [(each, each.rate(factor), FIRST_SEED) for each in given for factor in factors]
        trials(launcher, study, wanted)
        given = [each for each in given if each.rates]
        best = [f for each in given for f in factors if each.rate(f) == two_best(each.rates)[0]]
        wider = widened(factors, best)
        if wider == factors or widenings == MOST_WIDENINGS:
            break
        print(f"a best rate is at an edge of the grid, which gets more: {words(given, wider)}")
        factors = wider
    return list(given)


def key(argument: str) -> str:
    """Return the key of a setting as it is typed."""
    return argument.partition("=")[0].lstrip("+~")


def without_rate(overrides: Iterable[str]) -> list[str]:
    return [each for each in overrides if key(each) != "optimizer.lr"]


def study_of(cells: Iterable[Mapping[str, object]]) -> str:
    """Return the study that all settings name; raises UserError where they name several."""
    names = {str(settings["study"] or DEFAULT_STUDY) for settings in cells}
    if len(names) > 1:
        raise UserError(f"study={','.join(sorted(names))}: one study is needed")
    # The trials bear another name, which could be any.
    return str(checked({"study": names.pop()}, (OWN_STUDY,))["study"])


def default_rate(grid: Grid, overrides: Sequence[str]) -> float:
    """Return the rate that the settings give, or the optimizer's own where they say `tuned`."""
    optimizer = grid.cell(overrides)[0]["optimizer"]
    assert isinstance(optimizer, dict)
    if optimizer["lr"] == WORD:
        return default_rate(grid, [f"optimizer={optimizer['name']}"])
    return float(optimizer["lr"])


def distinct(given: Sequence[ToTune], launcher: Launcher, study: str) -> tuple[list[ToTune], Path]:
    """Return cells whose rates may differ, each once, and the outputs' folder.

    Raises UserError where one has two default rates.
    """
    found: dict[str, ToTune] = {}
    for each in given:
        (cell,) = launcher.cells([trial(each, each.default, FIRST_SEED, study)])
        same = found.setdefault(key_of(cell.spec), each)
        if same.default != each.default:
            raise UserError(
                f"optimizer.lr={typed(same.default)},{typed(each.default)}: one rate is needed, "
                "the middle of those that are tried"
            )
    return list(found.values()), Path(cell.runtime.outputs).expanduser()


def tuned_of(cell: ToTune) -> Tuned | None:
    """Return the rate of a cell and its trials; None where all diverged."""
    lr, best = chosen(cell.rates)
    if all(accuracy is None for accuracy in cell.rates[lr].values()):
        return None
    trials_by_rate = (
        Trial(rate, tuple(sorted(seeds)), tuple(seeds[seed] or 0.0 for seed in sorted(seeds)))
        for rate, seeds in sorted(cell.rates.items())
    )
    at_edge = best in (min(cell.rates), max(cell.rates))
    return Tuned(cell.name, key_of(cell.spec), lr, at_edge, tuple(trials_by_rate))


def words(given: Sequence[ToTune], factors: Sequence[float]) -> str:
    rates = sorted({each.rate(factor) for each in given for factor in factors})
    return ",".join(map(typed, rates))


def last_words(found: Sequence[Tuned], file: Path) -> list[str]:
    """Return a row a cell: the mean validation accuracy at each rate, and what was chosen."""
    rates = sorted({trial.lr for cell in found for trial in cell.trials})
    rows = [["validation accuracy, % (seeds)", *(f"lr {typed(rate)}" for rate in rates), "chosen"]]
    for cell in found:
        means = {
            trial.lr: f"{100 * fmean(trial.val_accuracy):.1f} ({len(trial.val_accuracy)})"
            for trial in cell.trials
        }
        edge = " (the best is at the edge of the grid)" if cell.at_edge else ""
        shown = [means.get(rate, "–") for rate in rates]
        rows.append([cell.cell, *shown, f"{typed(cell.lr)}{edge}"])
    return [aligned(rows), f"{file}; use them: normexp train -m optimizer.lr={WORD} ..."]
