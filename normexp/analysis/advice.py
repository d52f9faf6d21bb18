"""Which norm the runs at hand advise, how sure that is, and what they do not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean

from normexp.analysis.comparable import by_norm, comparable, distance
from normexp.analysis.measures import SEVERITIES, at_contrast, speed
from normexp.analysis.render.document import interval, number, plural
from normexp.analysis.report.blocks import told
from normexp.analysis.rows import Measure, Row, pairs
from normexp.analysis.statistics import (
    ALPHA,
    MIN_SEEDS,
    Paired,
    holm,
    paired,
    seeds_for_family,
    spread,
)

NEAR = 2
"""Batch sizes that differ by up to this factor are near."""


@dataclass(frozen=True)
class Pair:
    """One norm's accuracy less another's, in points."""

    first: str
    second: str
    paired: Paired
    p: float
    """Adjusted, like `p_equivalent`, over the pairs of the best with the others."""
    p_equivalent: float


def advice(rows: Sequence[Row], batch_size: int, contrast: str, margin: float) -> Iterator[str]:
    """Yield the lines of the advice for trainings at `batch_size`.

    `contrast` is `steady` or `varies`: among the images that the network is to classify.
    Differences below `margin` points do not matter.
    """
    measure = over_severities if contrast == "varies" else at_contrast("0")
    what = "accuracy over contrast severities 0 to 5" if contrast == "varies" else "test accuracy"
    ended = [row for row in rows if row.state in ("finished", "diverged")]
    near = [row for row in ended if distance(row, batch_size) <= log(NEAR) + 1e-9]
    if not near:
        yield from none_near(ended, batch_size)
        return
    group = comparable(near, batch_size)
    norms = by_norm(group)
    scored = {norm: _values(own, measure) for norm, own in norms.items()}
    scored = {norm: values for norm, values in scored.items() if values}
    yield from verdict(norms, scored, against_best(norms, scored, measure, margin), what)
    yield from cost(norms, scored)
    yield f"From {plural(len(group), 'run')}: {about(group)}"
    yield from missing(group, scored, batch_size)


def over_severities(row: Row) -> float | None:
    """Return the mean of the accuracies at every severity, the images as they are included."""
    values = [at_contrast(severity)(row) for severity in ("0", *SEVERITIES)]
    return None if None in values else fmean(value for value in values if value is not None)


def none_near(ended: Sequence[Row], batch_size: int) -> Iterator[str]:
    """Say that there is nothing to judge by."""
    sizes = sorted({row.settings["batch_size"] for row in ended})
    have = f"there are runs at {', '.join(map(told, sizes))}" if sizes else "no run has ended"
    yield f"Cannot tell: no run is near batch_size={batch_size}; {have}."
    yield f"normexp train -m norm=batch,instance,both,group batch_size={batch_size} seed=range(8)"


def against_best(
    norms: Mapping[str, Sequence[Row]],
    scored: Mapping[str, list[float]],
    measure: Measure,
    margin: float,
) -> list[Pair]:
    """Compare the norm that is ahead with every other.

    Although it is chosen by the same runs, these comparisons alone are the family: Hsu,
    "Constrained simultaneous confidence intervals for multiple comparisons with the best",
    Annals of Statistics 1984.
    """
    ranked = sorted(scored, key=lambda norm: -fmean(scored[norm]))
    found = []
    for other in ranked[1:]:
        values = pairs(norms[ranked[0]], norms[other], measure)
        if values[0]:
            found.append((ranked[0], other, paired(*values, margin)))
    p = holm([result.p for *_, result in found])
    p_equivalent = holm([result.p_equivalent for *_, result in found])
    return [Pair(*each, *both) for each, *both in zip(found, p, p_equivalent, strict=True)]


def verdict(
    norms: Mapping[str, Sequence[Row]],
    scored: Mapping[str, list[float]],
    found: Sequence[Pair],
    what: str,
) -> Iterator[str]:
    """Say which norm to use, or that this cannot be told."""
    for norm, rows in norms.items():
        if diverged := sum(row.state == "diverged" for row in rows):
            yield f"{norm}: {diverged} of {plural(len(rows), 'run')} diverged."
    if len(scored) < 2:
        yield f"Cannot tell: of norms with a result there is only {', '.join(scored) or 'none'}."
        return
    best = max(scored, key=lambda norm: fmean(scored[norm]))
    own = spread(scored[best])
    against = [pair for pair in found if pair.first == best]
    open_ = [pair for pair in against if pair.p > ALPHA and pair.p_equivalent > ALPHA]
    score = f"{what} {number(own.mean)} {interval(own.low, own.high)} %".replace("  ", " ")
    if not against or any(pair.paired.n == 1 for pair in against):
        yield f"Cannot tell: {best} is ahead, {score}, but of one seed nothing follows."
    elif open_:
        names = ", ".join(pair.second for pair in open_)
        yield f"Cannot tell whether {best} is better than {names}. It is ahead: {score}."
    else:
        yield f"Use {best}: {score}."
    for pair in against:
        yield "  " + _told(pair)


def cost(norms: Mapping[str, Sequence[Row]], scored: Mapping[str, object]) -> Iterator[str]:
    """Say how fast each norm trains."""
    speeds = {norm: [v for v in map(speed, norms[norm]) if v is not None] for norm in scored}
    told_of = [f"{norm} {fmean(values):,.0f}" for norm, values in speeds.items() if values]
    if told_of:
        yield f"Cost, in images a second of training: {', '.join(told_of)}."


def about(group: Sequence[Row]) -> str:
    """Return what the runs were of."""
    settings = group[0].settings
    parts = ["model", "data", "contrast", "optimizer"]
    budget = "steps" if settings.get("steps") is not None else "epochs"
    shown = [f"{key}={told(settings[key])}" for key in (*parts, "batch_size", budget)]
    limit = settings.get("data.limit")
    return " ".join(shown + ([f"data.limit={limit}"] if limit is not None else [])) + "."


def missing(
    group: Sequence[Row], scored: Mapping[str, list[float]], batch_size: int
) -> Iterator[str]:
    """Say what the runs do not show."""
    settings = group[0].settings
    if settings["data"] == "generated":
        yield "These are drawn images: they prove nothing about photographs."
    if settings["batch_size"] != batch_size:
        yield f"No run has batch_size={batch_size} itself."
    number_of_pairs = max(len(scored) - 1, 0)
    needed = seeds_for_family(number_of_pairs) if number_of_pairs else MIN_SEEDS
    seeds = min((len(values) for values in scored.values()), default=0)
    if seeds < needed:
        yield f"Missing: {needed} seeds of each norm, for {plural(number_of_pairs, 'pair')}; " + (
            f"the fewest are {seeds}."
        )
    if absent := [norm for norm in ("batch", "instance", "both", "group") if norm not in scored]:
        yield f"Missing: runs of norm={','.join(absent)}."


def _told(pair: Pair) -> str:
    result = pair.paired
    gap = f"{number(result.mean)} points {interval(result.low, result.high)}".strip()
    how = (
        "the same, by less than the margin"
        if pair.p_equivalent <= ALPHA
        else "a difference"
        if pair.p <= ALPHA
        else "open"
    )
    return f"{gap} above {pair.second}, {plural(result.n, 'seed')}: {how}"


def _values(rows: Sequence[Row], measure: Measure) -> list[float]:
    return [value for value in map(measure, rows) if value is not None]
