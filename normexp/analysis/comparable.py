"""Runs that differ in norm and seed only."""

from collections.abc import Sequence
from math import log

from normexp.analysis.measures import at_best
from normexp.analysis.rows import Run
from normexp.kinds import typed
from normexp.tuned import Tuned, key_of


def at_tuned_rates(runs: Sequence[Run], tuned: Sequence[Tuned]) -> list[Run]:
    """Leave out runs at another learning rate than the chosen one, where there are runs at that.

    Beside a tuned norm the same one at another rate is no answer.
    """
    choices = _choices(runs, tuned)
    have = {key for _, key, is_chosen in choices if is_chosen}
    return [run for run, key, is_chosen in choices if is_chosen or key not in have]


def at_best_rates(runs: Sequence[Run]) -> list[Run]:
    """Leave out runs of a cell at another learning rate than its best one.

    That is the one with the best mean validation accuracy.
    """
    cells: dict[str, list[Run]] = {}
    for run in runs:
        cells.setdefault(key_of(run.spec), []).append(run)
    return [run for own in cells.values() for run in at_best(own, "optimizer.lr")]


def of_newest_numerics(runs: Sequence[Run]) -> list[Run]:
    """Leave out runs of earlier `numerics`, which are of other code."""
    newest = max((run.spec.numerics for run in runs), default=0)
    return [run for run in runs if run.spec.numerics == newest]


def comparable(near: Sequence[Run], batch_size: int, tuned: Sequence[Tuned] = ()) -> list[Run]:
    """Return the runs that differ in norm and seed only: the nearest, then the most of them.

    Each may have the learning rate that was chosen for it. Runs at one rate for all, which is no
    fair comparison, count as further by a factor of 2 in the batch size.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run, _, is_chosen in _choices(near, tuned):
        same = {k: repr(v) for k, v in run.factors.items() if not _is_own(k)}
        same["optimizer.lr"] = "tuned" if is_chosen else repr(run.spec.optimizer.lr)
        groups.setdefault(tuple(sorted(same.items())), []).append(run)

    def worth(own: Sequence[Run]) -> tuple[object, ...]:
        is_tuned = _choices(own[:1], tuned)[0][2]
        away = distance(own[0], batch_size) + (0.0 if is_tuned else log(2))
        return len(by_norm(own)) > 1, -away, is_tuned, len(own)

    return max(groups.values(), key=worth)


def at_other_sizes(runs: Sequence[Run], group: Sequence[Run]) -> dict[int, list[Run]]:
    """Return the runs that differ from the `group` in norm, batch size and rate only, by size.

    Without the size of the group; the nearest in ratio first. Of a norm's learning rates at a size
    the one with the best mean validation accuracy is kept.
    """
    size, wanted = group[0].spec.batch_size, _regime(group[0])
    found: dict[int, list[Run]] = {}
    for run in sorted(runs, key=lambda run: distance(run, size)):
        if run.spec.batch_size != size and _regime(run) == wanted:
            found.setdefault(run.spec.batch_size, []).append(run)
    return {
        size: [run for own in by_norm(of_size).values() for run in at_best(own, "optimizer.lr")]
        for size, of_size in found.items()
    }


def _regime(run: Run) -> dict[str, object]:
    free = ("batch_size", "optimizer.lr")
    return {k: v for k, v in run.factors.items() if not (_is_own(k) or k in free)}


def by_norm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each norm; where a norm was run in several ways, of each of these."""
    keys = [key for key in dict.fromkeys(k for run in runs for k in run.factors) if _is_norms(key)]
    same: dict[str, list[Run]] = {}
    for run in runs:
        same.setdefault(run.spec.norm.name, []).append(run)
    varying = {
        norm: [key for key in keys if len({repr(run.factors.get(key)) for run in own}) > 1]
        for norm, own in same.items()
    }
    found: dict[str, list[Run]] = {}
    for run in runs:
        norm = run.spec.norm.name
        words = [f"{key}={typed(run.factors.get(key))}" for key in varying[norm]]
        found.setdefault(" ".join([norm, *words]), []).append(run)
    return found


def _choices(runs: Sequence[Run], tuned: Sequence[Tuned]) -> list[tuple[Run, str, bool]]:
    """Return with each run what names its settings, and whether it has the rate chosen for them."""
    rates = {cell.key: cell.lr for cell in tuned}
    keys = [key_of(run.spec) for run in runs]
    return [
        (run, key, rates.get(key) == run.spec.optimizer.lr)
        for run, key in zip(runs, keys, strict=True)
    ]


def distance(run: Run, batch_size: int) -> float:
    """Return how far the run's batch size is, as a logarithm of the factor."""
    return abs(log(run.spec.batch_size / batch_size))


def _is_own(key: str) -> bool:
    return key == "seed" or _is_norms(key)


def _is_norms(key: str) -> bool:
    return key.split(".")[0] == "norm"
