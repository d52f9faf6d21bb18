"""Which norm the runs at hand advise, how sure that is, and what they do not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from math import log
from statistics import fmean

from normexp.analysis.comparable import by_norm, comparable, distance
from normexp.analysis.compare import Family, Pairs, by_seed, compare, ranked
from normexp.analysis.measures import SEVERITIES, accuracy, at_contrast, speed
from normexp.analysis.render.document import interval, number, plural
from normexp.analysis.rows import Run
from normexp.analysis.statistics import MIN_SEEDS, Paired, seeds_for_family, spread
from normexp.settings import typed

NEAR = 2
"""Batch sizes that differ by up to this factor are near."""
OUTCOMES = {
    "more": "a difference",
    "same": "the same, by less than the margin",
    "open": "open",
}
"""What comes out of the norm that is ahead against another, in words."""


def advice(runs: Sequence[Run], batch_size: int, contrast: str, margin: float) -> Iterator[str]:
    """Yield the lines of the advice for trainings at `batch_size`.

    `contrast` is `steady` or `varies`: among the images that the network is to classify.
    Differences below `margin` points do not matter.
    """
    measure = over_severities if contrast == "varies" else accuracy
    what = "accuracy over contrast severities 0 to 5" if contrast == "varies" else "test accuracy"
    ended = [run for run in runs if run.state in ("finished", "diverged")]
    near = [run for run in ended if distance(run, batch_size) <= log(NEAR) + 1e-9]
    if not near:
        yield from none_near(ended, batch_size)
        return
    group = comparable(near, batch_size)
    norms = by_norm(group)
    scores = {norm: by_seed(own, measure) for norm, own in norms.items()}
    scores = {norm: values for norm, values in scores.items() if values}
    for norm, own in norms.items():
        if diverged := sum(run.state == "diverged" for run in own):
            yield f"{norm}: {diverged} of {plural(len(own), 'run')} diverged."
    yield from verdict(scores, margin, what)
    yield from cost({norm: norms[norm] for norm in scores})
    yield f"From {plural(len(group), 'run')}: {about(group[0])}"
    yield from missing(group[0], scores, batch_size)


def over_severities(run: Run) -> float | None:
    """Return the mean of the accuracies at every severity, the images as they are included."""
    values = [at_contrast(severity)(run) for severity in ("0", *SEVERITIES)]
    return None if None in values else fmean(value for value in values if value is not None)


def none_near(ended: Sequence[Run], batch_size: int) -> Iterator[str]:
    """Say that there is nothing to judge by."""
    sizes = sorted({run.spec.batch_size for run in ended})
    have = f"there are runs at {', '.join(map(str, sizes))}" if sizes else "no run has ended"
    yield f"Cannot tell: no run is near batch_size={batch_size}; {have}."
    yield f"normexp train -m norm=batch,instance,both,group batch_size={batch_size} seed=range(8)"


def verdict(scores: Mapping[str, Mapping[int, float]], margin: float, what: str) -> Iterator[str]:
    """Say which norm to use, or that this cannot be told.

    The norm that is ahead is compared with every other. Although it is chosen by the same runs,
    these comparisons alone are the family: Hsu, "Constrained simultaneous confidence intervals for
    multiple comparisons with the best", Annals of Statistics 1984.
    """
    if len(scores) < 2:
        yield f"Cannot tell: of norms with a result there is only {', '.join(scores) or 'none'}."
        return
    best, *others = ranked({norm: [*values.values()] for norm, values in scores.items()})
    pairs = {other: Pairs.of(scores[best], scores[other], margin) for other in others}
    pairs = {other: each for other, each in pairs.items() if each.seeds}
    family = Family("the norm that is ahead against every other", len(pairs))
    found = dict(zip(pairs, compare(family, [*pairs.values()]), strict=True))
    own = spread([*scores[best].values()])
    score = f"{what} {number(own.mean)} {interval(own.low, own.high)} %".replace("  ", " ")
    open_ = [other for other, comparison in found.items() if comparison.outcome == "open"]
    if not found or any(len(each.seeds) == 1 for each in pairs.values()):
        yield f"Cannot tell: {best} is ahead, {score}, but of one seed nothing follows."
    elif open_:
        yield f"Cannot tell whether {best} is better than {', '.join(open_)}. It is ahead: {score}."
    else:
        yield f"Use {best}: {score}."
    for other, comparison in found.items():
        if comparison.paired:
            yield f"  {above(other, comparison.paired)}: {OUTCOMES[comparison.outcome]}"


def above(other: str, result: Paired) -> str:
    """Return by how much the norm that is ahead is above another."""
    lead = f"{number(result.mean)} points {interval(result.low, result.high)}".strip()
    return f"{lead} above {other}, {plural(result.n, 'seed')}"


def cost(norms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Say how fast each norm trains."""
    speeds = {norm: [v for v in map(speed, own) if v is not None] for norm, own in norms.items()}
    words = [f"{norm} {fmean(values):,.0f}" for norm, values in speeds.items() if values]
    if words:
        yield f"Cost, in images a second of training: {', '.join(words)}."


def about(run: Run) -> str:
    """Return what the runs were of, from one of them."""
    parts = ["model", "data", "contrast", "optimizer", "batch_size"]
    parts.append("epochs" if run.spec.steps is None else "steps")
    parts += [] if run.spec.data.limit is None else ["data.limit"]
    return " ".join(f"{key}={typed(run.factors[key])}" for key in parts) + "."


def missing(run: Run, scores: Mapping[str, Sized], batch_size: int) -> Iterator[str]:
    """Say what runs like this one do not show."""
    if run.spec.data.name == "generated":
        yield "These are drawn images: they prove nothing about photographs."
    if run.spec.batch_size != batch_size:
        yield f"No run has batch_size={batch_size} itself."
    number_of_pairs = max(len(scores) - 1, 0)
    needed = seeds_for_family(number_of_pairs) if number_of_pairs else MIN_SEEDS
    seeds = min(map(len, scores.values()), default=0)
    if seeds < needed:
        yield f"Missing: {needed} seeds of each norm, for {plural(number_of_pairs, 'pair')}; " + (
            f"the fewest are {seeds}."
        )
    if absent := [norm for norm in ("batch", "instance", "both", "group") if norm not in scores]:
        yield f"Missing: runs of norm={','.join(absent)}."
