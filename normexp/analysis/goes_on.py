"""The command that adds seeds to runs until their comparison is decided, and how long it takes."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from normexp.analysis.compare import Comparison
from normexp.analysis.rows import Run
from normexp.kinds import typed

UNTIL = "until=decided"
MOST_SEEDS = 20  # that `until=decided` adds up to by itself
UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


@dataclass(frozen=True)
class Further:
    """How a study goes on."""

    command: str
    seconds: float  # of training, for the seeds that are needed, one run at a time

    @property
    def words(self) -> str:
        return f"about {duration(self.seconds)} of training, by the runs that finished"


def goes_on(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> Further | None:
    """Return how to go on with the runs of the `comparisons`; None where there is nothing to."""
    if not comparisons or not runs:
        return None
    needed = max(min(each.seeds_needed, MOST_SEEDS) for each in comparisons)
    have = min(len(each.pairs.seeds) for each in comparisons)
    by_cell: dict[str, list[float]] = {}
    for run in runs:
        if run.result is not None:
            by_cell.setdefault(run.spec.cell_name, []).append(run.result.timing.seconds)
    of_a_seed = sum(map(fmean, by_cell.values()))
    return Further(f"{sweep_of(runs)} {UNTIL}", of_a_seed * max(needed - have, 1))


def sweep_of(runs: Sequence[Run]) -> str:
    """Return the sweep over all settings that the commands of the runs name, but for the seed."""
    commands = [_settings(run.command) for run in runs]
    flags = dict.fromkeys(flag for _, own in commands for flag in own)
    keys = dict.fromkeys(key for settings, _ in commands for key in settings if key != "seed")
    values = {
        key: dict.fromkeys(
            settings.get(key, typed(run.factors.get(key)))
            for run, (settings, _) in zip(runs, commands, strict=True)
        )
        for key in keys
    }
    typed_values = [f"{key}={','.join(each)}" for key, each in values.items()]
    return shlex.join(["normexp", "train", "-m", *flags, *typed_values])


def _settings(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the settings that a command of one run names, and its other arguments."""
    arguments = shlex.split(command)[2:]
    is_setting = ["=" in each and not each.startswith("-") for each in arguments]
    both = list(zip(arguments, is_setting, strict=True))
    settings = [each.partition("=")[::2] for each, is_one in both if is_one]
    return dict(settings), [each for each, is_one in both if not is_one and each != "-m"]


def duration(seconds: float) -> str:
    """Return a time in words, such as `5 minutes`."""
    for unit, length in UNITS:
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"
