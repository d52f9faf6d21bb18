"""Which comparisons are the same, but for less than a margin: two one-sided t tests (TOST).

Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", Journal of
Pharmacokinetics and Biopharmaceutics 1987. Assumes normal differences. p-values are adjusted over
the family by Holm's method. The interval is the one that the same step of Holm's method compares
with the margin: its level is 1 − 2α/(comparisons left at that step), so it lies within the margin
exactly where p ≤ α.
"""

from collections.abc import Mapping

from scipy import special

from normexp.analysis.family import K, Seeds, holm
from normexp.analysis.intervals import ALPHA, Adjusted, Values, finite, mean_and_error, t_interval


def equivalence(
    differences: Mapping[K, Seeds], margin: float, alpha: float = ALPHA
) -> dict[K, Adjusted]:
    """Return for each comparison its adjusted p-value and the interval to hold to the margin.

    `differences` holds each comparison's difference by seed; those of fewer than three seeds have
    p = 1 and do not count in the family. A few equal differences have no interval. Raises
    ValueError on a margin of 0 or less.
    """
    if not margin > 0:
        raise ValueError(f"margin={margin}: a number above 0 is needed")
    rows = {key: finite(each.values()) for key, each in differences.items()}
    tested = [key for key, row in rows.items() if len(row) >= 3]
    p_values = [two_one_sided_t(rows[key], margin) for key in tested]
    answers = {key: Adjusted(1.0, None) for key in rows}
    adjusted = holm(p_values)
    for key, p, left in zip(tested, adjusted, left_at_step(p_values, adjusted, alpha), strict=True):
        interval = t_interval(rows[key], 1 - 2 * alpha / left)
        is_seen = interval is None or interval.within(margin) == (p <= alpha)
        answers[key] = Adjusted(p, interval if is_seen else None)
    return answers


def two_one_sided_t(x: Values, margin: float) -> float:
    """Return the p-value of a mean at least `margin` from 0: the larger of the two t tests'.

    Equal differences are not normal: it is then 2⁻ⁿ, that of their signs, or 0 where all are 0, as
    those of runs that agree to the bit.
    """
    mean, error = mean_and_error(x)
    room = margin - abs(mean)
    if error == 0:
        return (0.5 ** len(x) if mean else 0.0) if room > 0 else 1.0
    return float(special.stdtr(len(x) - 1, -room / error))


def left_at_step(p_values: list[float], adjusted: list[float], alpha: float) -> list[int]:
    """Return how many are left at the step of Holm's method that judges each, or that ends it."""
    decided = sum(p <= alpha for p in adjusted)
    left = [len(p_values) - decided] * len(p_values)
    for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)[:decided]):
        left[i] = len(p_values) - step
    return left
