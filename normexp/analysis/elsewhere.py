"""What norms have at other batch sizes than the one that advice is asked for."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from normexp.analysis.comparable import by_norm
from normexp.analysis.compare import Comparison, Family, Pairs, compare, ranked
from normexp.analysis.measures import Measure
from normexp.analysis.rows import Run, design_of
from normexp.analysis.scores import Scores, accuracies, chance_of


@dataclass(frozen=True)
class Elsewhere:
    """Norms that have no run at the batch size, if any, compared with its best at another size."""

    size: int
    best: str
    found: Mapping[str, Comparison]

    @property
    def ahead(self) -> str:
        """Those that are ahead of it, in words; empty where none is, decided or likely."""
        norms = [norm for norm, each in self.found.items() if each.outcome == "more"]
        verb = "is" if len(norms) == 1 else "are"
        words = f", but at batch size {self.size} {' and '.join(norms)} {verb} ahead of it"
        return words if norms else ""

    def lines(self) -> Iterator[str]:
        if self.found:
            place = f"At batch size {self.size}, where other norms have runs too"
            yield f"{place}, against {self.best}:"
        for norm, each in self.found.items():
            yield f"  {norm}: {each.lead_words}"


def elsewhere(
    sizes: Mapping[int, Sequence[Run]],
    best: str,
    known: Container[str],
    measure: Measure,
    margin: float,
) -> Elsewhere:
    """Compare the norms that are not `known` with the `best`, at the nearest size with both."""
    for size, runs in sizes.items():
        scores = scores_by_norm(runs, measure)
        others = [norm for norm in ranked(scores) if norm not in known]
        if best not in scores or not others:
            continue
        pairs = [Pairs.of(scores[norm], scores[best], margin) for norm in others]
        family = Family("norms that have no run at the batch size", design_of(runs))
        return Elsewhere(size, best, dict(zip(others, compare(family, pairs), strict=True)))
    return Elsewhere(0, best, {})


def as_near(
    sizes: Mapping[int, Sequence[Run]],
    batch_size: int,
    size: int,
    known: Iterable[str],
    measure: Measure,
) -> Iterator[str]:
    """Say what the norms have at another batch size that is as near to the wanted one."""
    for other, runs in sizes.items():
        if other == size or other * size != batch_size**2:
            continue
        scores = scores_by_norm(runs, measure)
        means = [f"{norm} {scores[norm].mean:.1f} %" for norm in ranked(scores)]
        absent = [norm for norm in known if norm not in scores]
        without = f"; no run of {', '.join(absent)}" if absent else ""
        place = f"At batch size {other}, which is as near to {batch_size}"
        yield f"{place}: {', '.join(means)}{without}."


def scores_by_norm(runs: Sequence[Run], measure: Measure) -> dict[str, Scores]:
    """Return what each norm has, in percent; a diverged run counts as chance."""
    chance = chance_of(runs)
    found = {norm: accuracies(own, measure, chance, 100) for norm, own in by_norm(runs).items()}
    return {norm: own for norm, own in found.items() if own.values}
