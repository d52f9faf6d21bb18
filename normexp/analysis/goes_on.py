"""The commands that add seeds to runs until their comparisons are decided, and how long they take.

A sweep crosses all its values. So cells share a command only where they are all cells of a grid.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from statistics import fmean

from normexp.analysis.compare import Comparison
from normexp.analysis.rows import Run
from normexp.kinds import typed

UNTIL = "until=decided"
MOST_SEEDS = 20  # that `until=decided` adds up to by itself
UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))
OF_A_SWEEP = ("seed", "until", "max_seeds", "skip_impossible")
NO_FACTORS = ("study", "runtime.outputs", "runtime.device")
"""Settings of a command that are no part of a cell: kept where all commands have the same."""

Typed = Mapping[str, str]
"""A cell, by the settings that its command names."""
Sides = tuple[Sequence[Run], Sequence[Run]]


@dataclass(frozen=True)
class Further:
    """How a study goes on."""

    command: str  # a line a sweep
    seconds: float  # of training, for the seeds that are needed, one run at a time

    @property
    def words(self) -> str:
        return training_words(self.seconds)


def goes_on(pairs: Sequence[Sides], comparisons: Sequence[Comparison]) -> Further | None:
    """Return how to go on with the comparisons of these pairs of cells; None without one.

    Two cells that no grid holds alone, as of a norm with a setting of its own, are typed apart,
    each with the seeds that are needed.
    """
    pairs = [(first, second) for first, second in pairs if first and second]
    if not comparisons or not pairs:
        return None
    runs = [run for pair in pairs for side in pair for run in side]
    flags, cells = _cells(runs)
    asked = [[cells[side[0].spec.cell_name] for side in pair] for pair in pairs]
    alone = [[cell] for pair in asked if not _is_grid(pair) for cell in pair]
    until = " ".join(until_decided(comparisons))
    together = [(grid, until) for grid in _grids(pair for pair in asked if _is_grid(pair))]
    lines = [*together, *((grid, more_seeds(runs, comparisons)) for grid in _grids(alone))]
    return Further(
        "\n".join(_sweep(flags, grid, ending) for grid, ending in lines),
        seconds_needed(runs, comparisons),
    )


def until_decided(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the settings with which a sweep adds seeds until the comparisons are decided."""
    have = max(len(each.pairs.seeds) for each in comparisons)
    return [UNTIL] if have < MOST_SEEDS else [UNTIL, f"max_seeds={_most(have)}"]


def more_seeds(runs: Iterable[Run], comparisons: Iterable[Comparison]) -> str:
    """Return the seeds that the comparisons of these runs need, as they are typed."""
    seeds = sorted({run.seed for run in runs})
    missing = max(_needed(comparisons, len(seeds)) - len(seeds), 0)
    seeds += range(seeds[-1] + 1, seeds[-1] + 1 + missing)
    return f"seed={','.join(map(str, seeds))}"


def seconds_needed(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> float:
    """Return how long the seeds train that the comparisons of these runs still need."""
    have = min(len(each.pairs.seeds) for each in comparisons)
    of_a_seed = seconds_of_a_seed(runs, lambda run: run.spec.cell_name)
    return of_a_seed * max(_needed(comparisons, have) - have, 1)


def seconds_of_a_seed(runs: Iterable[Run], cell_of: Callable[[Run], str]) -> float:
    """Return how long one run of each cell trains, by the mean of those that ended."""
    by_cell: dict[str, list[float]] = {}
    for run in runs:
        if run.result is not None:
            by_cell.setdefault(cell_of(run), []).append(run.result.timing.seconds)
    return sum(map(fmean, by_cell.values()))


def sweeps_of(runs: Sequence[Run], ending: str) -> str:
    """Return the sweeps over the cells of the runs, a line each, with an `ending`."""
    flags, cells = _cells(runs)
    grids = _grids([cell] for cell in cells.values())
    return "\n".join(_sweep(flags, grid, ending) for grid in grids)


def tunes_of(runs: Sequence[Run]) -> str:
    """Return the commands that choose the learning rates of the cells of the runs, a line each."""
    flags, cells = _cells(runs)
    for cell in cells.values():
        cell.pop("optimizer.lr", None)
    grids = _grids([cell] for cell in cells.values())
    return "\n".join(_typed(["tune", *flags], grid) for grid in grids)


def _needed(comparisons: Iterable[Comparison], have: int) -> int:
    return max(min(each.seeds_needed, _most(have)) for each in comparisons)


def _most(have: int) -> int:
    """Return the most seeds that are asked for at once."""
    return MOST_SEEDS if have < MOST_SEEDS else 2 * have


def _cells(runs: Sequence[Run]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the flags of the commands, and the settings of each cell by its name.

    A setting that another command names has its value here too, if the cell has one; the class of
    a part is its name's.
    """
    first = {run.spec.cell_name: run for run in reversed(runs)}
    commands = {name: _settings(run.command) for name, run in reversed(first.items())}
    flags = list(dict.fromkeys(flag for _, own in commands.values() for flag in own))
    keys = list(dict.fromkeys(key for settings, _ in commands.values() for key in settings))
    for key in NO_FACTORS:
        if len({settings.get(key) for settings, _ in commands.values()}) > 1:
            keys.remove(key)
    found: dict[str, dict[str, str]] = {}
    for name, (settings, _) in commands.items():
        factors = first[name].factors.items()
        known = {k: typed(v) for k, v in factors if not k.endswith("_target_")} | settings
        found[name] = {key: known[key] for key in keys if key in known}
    return flags, found


def _settings(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the settings of a cell that a command of one run names, and its flags."""
    arguments = shlex.split(command)[2:]
    is_setting = ["=" in each and not each.startswith("-") for each in arguments]
    both = list(zip(arguments, is_setting, strict=True))
    settings = dict(each.partition("=")[::2] for each, is_one in both if is_one)
    kept = {
        key: value
        for key, value in settings.items()
        if key in NO_FACTORS or not (key in OF_A_SWEEP or key.startswith("runtime."))
    }
    return kept, [each for each, is_one in both if not is_one and each != "-m"]


def _grids(groups: Iterable[Sequence[Typed]]) -> list[list[Typed]]:
    """Return the cells in as few grids as are found by joining group after group."""
    groups = list(groups)
    every = _unique(cell for group in groups for cell in group)
    if _is_grid(every):
        return [every]
    found: list[list[Typed]] = []
    for group in groups:
        joined = (_unique([*grid, *group]) for grid in found)
        place = next((i for i, cells in enumerate(joined) if _is_grid(cells)), None)
        if place is None:
            found.append(_unique(group))
        else:
            found[place] = _unique([*found[place], *group])
    return found if len(found) == len(groups) else _grids(found)


def _unique(cells: Iterable[Typed]) -> list[Typed]:
    return list({frozenset(cell.items()): cell for cell in cells}.values())


def _is_grid(cells: Sequence[Typed]) -> bool:
    """Whether the cells are all combinations of their values."""
    if not cells or any(cell.keys() != cells[0].keys() for cell in cells):
        return False
    return prod(len({cell[key] for cell in cells}) for key in cells[0]) == len(_unique(cells))


def _sweep(flags: Sequence[str], grid: Sequence[Typed], ending: str) -> str:
    return f"{_typed(['train', '-m', *flags], grid)} {ending}"


def _typed(command: Sequence[str], grid: Sequence[Typed]) -> str:
    values = {key: dict.fromkeys(cell[key] for cell in grid) for key in grid[0]}
    typed_values = [f"{key}={','.join(each)}" for key, each in values.items()]
    return shlex.join(["normexp", *command, *typed_values])


def training_words(seconds: float) -> str:
    return f"about {duration(seconds)} of training, by the runs that finished"


def duration(seconds: float) -> str:
    """Return a time in words, such as `5 minutes`."""
    for unit, length in UNITS:
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"
