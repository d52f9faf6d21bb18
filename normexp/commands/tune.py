"""`normexp tune`: a learning rate for each norm at each batch size, chosen by validation accuracy.

Every norm gets the same number of trials (`docs/statistics.md`): five rates in factors of 2 around
the default on one exploration seed, then the two best on two more. The grid is widened by a factor
of 2 at most twice, for all norms alike, where a best rate lies at its edge.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from normexp import build
from normexp.commands import train
from normexp.errors import UserError
from normexp.runs.catalogue import catalogue
from normexp.runs.spec import RunSpec
from normexp.runs.text import aligned
from normexp.settings import typed
from normexp.tuned import Trial, Tuned, TunedFile, file_of, key_of, write_tuned

HELP = """\
usage: normexp tune norm=batch,instance batch_size=4,128 [key=value ...] [study=<name>]

Trains each norm at each batch size with five learning rates in factors of 2 around the default
on seed 1000, and the two best on seeds 1001 and 1002, at the budget that is given (epochs=,
steps=, data.limit=). Chooses by validation accuracy and writes tuned/<study>.yaml below
runtime.outputs; optimizer.lr=tuned then takes the rate. Typed again, it goes on where it stopped.
"""
FIRST_SEED = 1000
"""Exploration seeds are 1000 and up, so that no seed of a confirmation chooses a rate."""
MORE_SEEDS = (1001, 1002)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
MOST_WIDENINGS = 2
FIXED = ("seed", "optimizer.lr", "study", "until")

Rates = dict[float, dict[int, float]]
"""Validation accuracy by rate and seed."""


def main() -> int:
    """Tune what the arguments name, and write the rates. Returns the exit code."""
    arguments = sys.argv[1:]
    if not arguments or set(arguments) & {"-h", "--help"}:
        print(HELP)
        return 0
    given = [a for a in arguments if not a.startswith("study=") and a != "-m"]
    study = next((a.partition("=")[2] for a in arguments if a.startswith("study=")), "tuned")
    if clash := [a for a in given if a.partition("=")[0] in FIXED]:
        raise UserError(f"{clash[0]}: normexp tune sets this itself; leave it out")
    default, outputs = defaults(given)
    grid = [default * factor for factor in FACTORS]
    code = trials(given, grid, [FIRST_SEED], study)
    for _ in range(MOST_WIDENINGS):
        wider = widened(grid, found(outputs, study).values())
        if wider == grid:
            break
        print(f"the best rate is at an edge of the grid, which is widened to {rates_words(wider)}")
        grid = wider
        code = trials(given, grid, [FIRST_SEED], study)
    best = sorted({rate for rates in found(outputs, study).values() for rate in two_best(rates)})
    code = max(code, trials(given, best, MORE_SEEDS, study))
    command = shlex.join(["normexp", "tune", *arguments])
    cells = [chosen(spec, rates, grid) for spec, rates in specs_and_rates(outputs, study)]
    if not cells:
        raise UserError("no run has ended, so no rate can be chosen; see the errors above")
    write_tuned(file_of(outputs, study), TunedFile(command, tuple(cells)))
    print(table(cells))
    print(f"{file_of(outputs, study)}; use them: normexp train -m optimizer.lr=tuned ...")
    return code


def defaults(given: Sequence[str]) -> tuple[float, Path]:
    """Return the learning rate that the settings have by themselves, and the outputs' folder."""
    parsed = OverridesParser.create().parse_overrides([a for a in given if "=" in a])
    first = [
        f"{each.get_key_element()}={next(iter(each.sweep_string_iterator()))}"
        if each.is_sweep_override()
        else str(each.input_line)
        for each in parsed
    ]
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        spec, runtime = build.run_spec(compose("train", overrides=first))
    return spec.optimizer.lr, Path(runtime.outputs).expanduser()


def trials(given: Sequence[str], rates: Iterable[float], seeds: Iterable[int], study: str) -> int:
    """Train with each rate and seed what has not been trained yet; return the exit code."""
    lists = [
        f"optimizer.lr={rates_words(rates)}",
        f"seed={','.join(map(str, seeds))}",
        f"study=tuning_{study}",
    ]
    sys.argv = ["normexp train", "-m", *given, *lists]
    return train.main()


def specs_and_rates(outputs: Path, study: str) -> list[tuple[RunSpec, Rates]]:
    """Return one run's settings for each cell of the tuning, and what its runs found."""
    cells: dict[str, tuple[RunSpec, Rates]] = {}
    for entry in catalogue(outputs):
        spec, result = entry.record.spec, entry.result
        if f"tuning_{study}" in entry.record.studies and result is not None:
            _, rates = cells.setdefault(key_of(spec), (spec, {}))
            accuracy = result.history[-1].val_accuracy if result.test else 0.0
            rates.setdefault(spec.optimizer.lr, {})[spec.seed] = accuracy
    return list(cells.values())


def found(outputs: Path, study: str) -> Mapping[str, Rates]:
    """Return the validation accuracy of each cell by rate and seed."""
    return {key_of(spec): rates for spec, rates in specs_and_rates(outputs, study)}


def widened(grid: Sequence[float], cells: Iterable[Rates]) -> list[float]:
    """Return the grid with a further rate at each end where some cell's best lies."""
    best = {two_best(rates)[0] for rates in cells if rates}
    lower = [min(grid) / 2] if min(grid) in best else []
    upper = [max(grid) * 2] if max(grid) in best else []
    return [*lower, *grid, *upper]


def two_best(rates: Rates) -> list[float]:
    """Return the two rates with the highest accuracy on the first seed, the best first."""
    first = {rate: by_seed.get(FIRST_SEED, 0.0) for rate, by_seed in rates.items()}
    return sorted(first, key=lambda rate: (-first[rate], rate))[:2]


def chosen(spec: RunSpec, rates: Rates, grid: Sequence[float]) -> Tuned:
    """Return the rate of a cell: of the two best, the smaller where they tie within the error."""
    candidates = two_best(rates)
    means = {rate: fmean(rates[rate].values()) for rate in candidates}
    best = max(candidates, key=lambda rate: (means[rate], -rate))
    lr = min(rate for rate in candidates if means[best] - means[rate] <= error(rates, candidates))
    name = f"model={spec.model.name} norm={spec.norm.name} batch_size={spec.batch_size}"
    by_rate = (
        Trial(rate, tuple(sorted(seeds)), tuple(seeds[seed] for seed in sorted(seeds)))
        for rate, seeds in sorted(rates.items())
    )
    return Tuned(name, key_of(spec), lr, best in (min(grid), max(grid)), tuple(by_rate))


def error(rates: Rates, candidates: Sequence[float]) -> float:
    """Return the standard error of the difference of two rates' means over the same seeds."""
    if len(candidates) < 2:
        return 0.0
    first, second = (rates[rate] for rate in candidates)
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 0.0


def rates_words(rates: Iterable[float]) -> str:
    """Return rates as they are typed."""
    return ",".join(typed(float(f"{rate:.6g}")) for rate in rates)


def table(cells: Iterable[Tuned]) -> str:
    """Return a row a cell: the validation accuracy at each rate, and the rate that was chosen."""
    cells = list(cells)
    rates = sorted({trial.lr for cell in cells for trial in cell.trials})
    head = ["validation accuracy, %", *(f"lr {typed(rate)}" for rate in rates), "chosen"]
    rows = [head]
    for cell in cells:
        means = {trial.lr: 100 * fmean(trial.val_accuracy) for trial in cell.trials}
        edge = " (at the edge of the grid)" if cell.at_edge else ""
        shown = [f"{means[rate]:.1f}" if rate in means else "–" for rate in rates]
        rows.append([cell.cell, *shown, f"{typed(cell.lr)}{edge}"])
    return aligned(rows)
