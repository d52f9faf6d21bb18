"""What the runs say to one comparison of a claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from normexp.analysis.claims.planned import Planned
from normexp.analysis.compare import Comparison
from normexp.analysis.rows import Row

WITHOUT_ANSWER = ("open", "chance", "not drawn", "missing")


@dataclass(frozen=True)
class Finding:
    """What the runs say to one comparison of a claim."""

    planned: Planned
    comparison: Comparison
    by_side: Sequence[Sequence[Row]]  # those that were selected

    @property
    def rows(self) -> list[Row]:
        return list({row.path / row.name: row for own in self.by_side for row in own}.values())

    @property
    def is_run(self) -> bool:
        return all(self.by_side)

    @property
    def is_of_norms(self) -> bool:
        """Whether the test accuracies of two norms are compared."""
        norms = [{row.factors.get("norm") for row in own} for own in self.by_side]
        return self.planned.first.measure.value == "test.accuracy" and all(
            one.isdisjoint(other) for one, other in combinations(norms, 2)
        )

    @property
    def is_below(self) -> bool:
        """Whether a difference is shown that is smaller than what matters."""
        graded = self.comparison.graded
        return graded is not None and graded.is_decided_below

    @property
    def agrees(self) -> bool | None:
        """Whether it is as the claim says; None where that is open.

        A difference of the claimed sign that is below the margin does not matter, but the two are
        not shown to be the same.
        """
        outcome, expect = self.comparison.outcome, self.planned.expect
        if outcome in WITHOUT_ANSWER or (self.is_below and {outcome, "same"} & {*expect}):
            return None
        return outcome in expect
