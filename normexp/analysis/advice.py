"""Which norm the runs at hand advise, how sure that is, and what they do not show."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import log
from statistics import fmean

from normexp.analysis.comparable import (
    at_other_sizes,
    at_tuned_rates,
    by_norm,
    comparable,
    distance,
    of_newest_numerics,
)
from normexp.analysis.compare import Comparison, Family, Pairs, compare, ranked, tied
from normexp.analysis.elsewhere import Elsewhere, as_near, elsewhere, scores_by_norm
from normexp.analysis.goes_on import goes_on
from normexp.analysis.grades import Grade
from normexp.analysis.measures import accuracy, at_contrast, speed
from normexp.analysis.render.document import interval, number, with_interval
from normexp.analysis.rows import Run, design_of
from normexp.analysis.scores import Scores
from normexp.analysis.setup import setup, unfair_none
from normexp.analysis.spread import PERCENT, spread
from normexp.runs.result import Environment
from normexp.runs.tested import SEVERITIES
from normexp.runs.text import plural
from normexp.tuned import Tuned

NEAR = 2  # batch sizes that differ by up to this factor are near


def advice(
    runs: Sequence[Run], batch_size: int, contrast: str, margin: float, tuned: Sequence[Tuned] = ()
) -> Iterator[str]:
    """Yield the lines of the advice for trainings at `batch_size`.

    `contrast` is `steady` or `varies`: among the images that the network is to classify.
    Differences below `margin` points do not matter.
    """
    measure = over_severities if contrast == "varies" else accuracy
    what = "accuracy over contrast severities 0 to 5" if contrast == "varies" else "test accuracy"
    newest = of_newest_numerics(runs)
    if older := len(runs) - len(newest):
        yield f"{plural(older, 'run')} of earlier numerics left out."
    runs = at_tuned_rates(newest, tuned)
    ended = [run for run in runs if run.state in ("finished", "diverged")]
    near = [run for run in ended if distance(run, batch_size) <= log(NEAR) + 1e-9]
    if not near:
        yield from none_near(ended, batch_size)
        return
    group = comparable(near, batch_size, tuned)
    norms, scores = by_norm(group), scores_by_norm(group, measure)
    size = group[0].spec.batch_size
    is_there = any(run.spec.batch_size == batch_size for run in near)
    lacking = "no learning rate is tuned at" if is_there else "no run has"
    have = f", of the norms with runs at batch size {size} ({lacking} {batch_size})"
    words = f"{have if size != batch_size else ''}: {what}"
    sizes = at_other_sizes(ended, group)

    def beside(best: str) -> Elsewhere:
        return elsewhere(sizes, best, scores, measure, margin)

    yield from verdict(scores, norms, margin, words, beside)
    yield from as_near(sizes, batch_size, size, scores, measure)
    yield from (f"{norm}: {own.note}." for norm, own in scores.items() if own.note)
    yield from cost({norm: norms[norm] for norm in scores})
    yield from missing(size, scores)
    if unfair := unfair_none(group):
        yield unfair
    yield "What was trained:"
    yield from (f"  {name}: {words}" for name, words in setup(group, tuned).items())


def over_severities(run: Run) -> float | None:
    """Return the mean of the accuracies at every severity, the images as they are included."""
    values = [at_contrast(severity)(run) for severity in ("0", *SEVERITIES)]
    return None if None in values else fmean(value for value in values if value is not None)


def none_near(ended: Sequence[Run], batch_size: int) -> Iterator[str]:
    sizes = sorted({run.spec.batch_size for run in ended})
    have = f"there are runs at {', '.join(map(str, sizes))}" if sizes else "no run has ended"
    yield f"Cannot tell: no run is near batch_size={batch_size}; {have}."
    yield f"normexp train -m norm=batch,instance,both,group batch_size={batch_size} seed=range(8)"


def verdict(
    scores: Mapping[str, Scores],
    norms: Mapping[str, Sequence[Run]],
    margin: float,
    what: str,
    beside: Callable[[str], Elsewhere],
) -> Iterator[str]:
    """Say which norm to use, how sure that is, what is `beside` it, and how to go on.

    The norm that is ahead is compared with every other. Although it is chosen by the same runs,
    these comparisons alone are the family: Hsu, "Constrained simultaneous confidence intervals for
    multiple comparisons with the best", Annals of Statistics 1984.
    """
    if len(scores) < 2:
        yield f"Cannot tell: of norms with a result there is only {', '.join(scores) or 'none'}."
        return
    best, *others = ranked(scores)
    if scores[best].is_at_chance:
        yield f"Cannot tell: none of the norms with runs is above chance: {', '.join(scores)}."
        return
    pairs = {other: Pairs.of(scores[best], scores[other], margin) for other in others}
    family = Family(
        "the norm that is ahead against every other",
        design_of(run for own in norms.values() for run in own),
    )
    found = dict(zip(pairs, compare(family, [*pairs.values()]), strict=True))
    own = spread(scores[best].values.values(), within=PERCENT)
    note = f", {scores[best].note}" if scores[best].note else ""
    other_size = beside(best)
    headline = _headline(scores, best, found, is_best_here=bool(other_size.ahead))
    yield f"{headline}{what} {with_interval(own)} %{note}{other_size.ahead}."
    for other, comparison in found.items():
        yield f"  {above(other, comparison)}"
    yield from other_size.lines()
    short = {other: each for other, each in found.items() if each.is_undecided}
    pairs_of_runs = [(norms[best], norms[other]) for other in short]
    if further := goes_on(pairs_of_runs, [*short.values()]):
        yield f"Go on ({further.words}):"
        yield further.command


def _headline(
    scores: Mapping[str, Scores],
    best: str,
    found: Mapping[str, Comparison],
    *,
    is_best_here: bool,
) -> str:
    equal = tied(scores, best)
    if len(equal) > 1:
        return f"No norm is ahead: {' and '.join(equal)} have the same mean"
    # The best mean may lose over the seeds that both have.
    unsure = [n for n, each in found.items() if each.outcome in ("open", "missing", "less")]
    if unsure:
        return f"Cannot tell whether {best} is better than {', '.join(unsure)}. It is ahead"
    is_likely = any(each.graded and each.graded.grade is Grade.LIKELY for each in found.values())
    if is_likely:
        return f"{best} is likely the best"
    return f"{best} is the best" if is_best_here else f"Use {best}"


def above(other: str, comparison: Comparison) -> str:
    """Return by how much the norm that is ahead is above another, and how sure that is."""
    graded, notes = comparison.graded, comparison.pairs.notes[1]
    lost = f" ({other}: {notes})" if notes else ""
    if graded is None:
        return f"against {other}: {comparison.text}{lost}"
    lead = f"{number(graded.mean)} points {interval(graded.interval)}".strip()
    return f"{lead} above {other}, {plural(graded.seeds, 'seed')}: {comparison.text}{lost}"


def cost(norms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Yield the speed of each norm, on the kind of machine on which most norms were trained."""
    speeds = [
        (norm, _machine(run), value)
        for norm, own in norms.items()
        for run in own
        if (value := speed(run)) is not None
    ]
    if not speeds:
        return
    of_norms = dict.fromkeys((norm, machine) for norm, machine, _ in speeds)
    shared = Counter(machine for _, machine in of_norms).most_common(1)[0][0]
    # Other work on the machine slows some runs; the fastest of a norm is slowed least.
    fastest: dict[str, float] = {}
    for norm, machine, value in speeds:
        if machine == shared:
            fastest[norm] = max(value, fastest.get(norm, 0))
    words = ", ".join(f"{norm} {value:,.0f}" for norm, value in fastest.items())
    yield f"Cost, in images a second of training (the fastest run): {words}."
    if others := ", ".join(sorted({norm for norm, _, _ in speeds} - fastest.keys())):
        yield f"Trained on other machines, so that speeds do not compare: {others}."


def _machine(run: Run) -> Environment | None:
    """Return what a speed depends on beside the settings."""
    return replace(run.result.environment, normexp="", python="") if run.result else None


def missing(size: int, scores: Mapping[str, Scores]) -> Iterator[str]:
    have = {norm.split()[0] for norm in scores}
    if absent := [norm for norm in ("batch", "instance", "both", "group") if norm not in have]:
        yield f"Missing at batch size {size}: runs of norm={','.join(absent)}."
