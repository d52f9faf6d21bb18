"""What the runs of a cell count as in a comparison, with those that diverged or did not learn.

An accuracy of a run that diverged counts as chance, so that no seed is left out. Of any other
measure (a difference of accuracies, a loss, a spread, a time) nothing stands in for such a run:
no comparison is drawn, and none with a run at chance, as chance less chance says nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from normexp.analysis.rows import R, Run
from normexp.errors import UserError


@dataclass(frozen=True)
class Chance:
    """The accuracy of always predicting the largest class of the test images, as a share."""

    share: float
    error: float  # standard error of an accuracy at chance; 0 where the images' number is not known

    def holds(self, accuracy: float) -> bool:
        """Whether a share is not above chance by two standard errors."""
        return accuracy <= self.share + 2 * self.error


@dataclass(frozen=True)
class Scores:
    """The values of a cell by seed, and what is to be said beside them."""

    values: Mapping[int, float]
    diverged: int = 0
    at_chance: int = 0  # finished runs whose accuracy is not above chance
    is_at_chance: bool = False  # whether the mean of this accuracy is not above chance
    is_drawn: bool = True  # whether it may be compared
    runs: int = 0  # that ended
    reason: str = ""  # why it may not be compared, but for runs that diverged or are at chance

    @property
    def mean(self) -> float:
        return fmean(self.values.values())

    @property
    def is_lost(self) -> bool:
        """Whether runs ended, and none of them learned."""
        return 0 < self.runs == self.diverged + self.at_chance

    @property
    def note(self) -> str:
        """How many runs diverged or did not learn, and why else it may not be compared."""
        counts = (
            (self.diverged, "diverged"),
            (self.at_chance, "at chance"),
        )
        words = [f"{count} of {self.runs} {what}" for count, what in counts if count]
        return ", ".join(filter(None, [*words, self.reason]))


def chance_of(*groups: Sequence[Run]) -> Chance:
    """Return chance for the first group with a finished run; else 1 over the number of classes."""
    for runs in groups:
        for run in runs:
            test = run.result.test if run.result else None
            if test and test.num_images:
                share = test.chance
                return Chance(share, sqrt(share * (1 - share) / test.num_images))
    ended = [run.result for runs in groups for run in runs if run.result]
    return Chance(1 / len(ended[0].classes) if ended else 0.0, 0.0)


def accuracies(
    runs: Sequence[Run], measure: Callable[[Run], float | None], chance: Chance, scale: float
) -> Scores:
    """Return the scores of an accuracy, where chance × `scale` stands for a run that diverged."""

    def value(run: Run) -> float | None:
        return scale * chance.share if run.state == "diverged" else measure(run)

    values = by_seed(runs, value)
    mean = fmean(values.values()) / scale if values else 1.0
    return Scores(values, *counts(runs), is_at_chance=chance.holds(mean), runs=ended(runs))


def others(runs: Sequence[Run], measure: Callable[[Run], float | None]) -> Scores:
    """Return the scores of what is no accuracy; not drawn with runs diverged or at chance."""
    lost = counts(runs)
    return Scores(by_seed(runs, measure), *lost, is_drawn=not any(lost), runs=ended(runs))


def counts(runs: Iterable[Run]) -> tuple[int, int]:
    """Return how many runs diverged, and how many finished without having learned."""
    runs = list(runs)
    diverged = sum(run.state == "diverged" for run in runs)
    return diverged, sum(
        run.state == "finished" and run.result is not None and not run.result.has_learned
        for run in runs
    )


def ended(runs: Iterable[Run]) -> int:
    return sum(run.state in ("finished", "diverged") for run in runs)


def by_seed(rows: Iterable[R], measure: Callable[[R], float | None]) -> dict[int, float]:
    """Return the measure by seed, where a row has it; raises UserError on two rows of one seed."""
    seen: dict[int, R] = {}
    values: dict[int, float] = {}
    for row in rows:
        value = measure(row)
        if value is None:
            continue
        if other := seen.get(row.seed):
            keys = [key for key in row.factors if row.factors[key] != other.factors.get(key)]
            raise UserError(
                f"{row.name} and {other.name} have one seed and differ in {', '.join(keys)}; "
                "tell such runs apart before they are compared"
            )
        seen[row.seed] = row
        values[row.seed] = value
    return values
