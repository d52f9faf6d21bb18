"""Judging comparisons after every added seed: anytime-valid t tests for paired differences.

Each comparison has an e-process: the Bayes factor of "the mean is δ standard deviations, δ normal
with deviation 2" against "the mean is 0", with the right Haar prior 1/σ on the deviation in both.
It depends on Student's t only:

    E = g^(−1/2) · [(1 + t²/ν)/(1 + t²/(νg))]^(n/2),   ν = n − 1, g = 1 + 4n.

If the mean is 0, E ever exceeds 1/α with probability α at most (Ville), so that 1/max E is a
p-value at whatever seed one stops. Lai, "On confidence sequences", Annals of Statistics 1976; Wang
and Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
variance", Sequential Analysis 2025; Pérez-Ortiz, Lardy, de Heide and Grünwald, "E-statistics, group
invariance and anytime-valid testing", Annals of Statistics 2024.

"The same" takes two one-sided e-processes, against a mean of the margin or more and of minus the
margin or less: δ is then half-normal, which multiplies E by 2·P(T < −h), T Student's with n degrees
of freedom and h = t·√((1 − 1/g)·n/(ν + t²/g)). Adding a constant to all differences moves all t up,
so the test of the margin itself holds for all means beyond it.

Over a family the p-values 1/max E are adjusted by Holm's method, which is e-Holm with e-values that
hold for any dependence (Vovk and Wang, "E-values: calibration, combination and applications",
Annals of Statistics 2021) on their maxima so far. Assumes that the paired differences are normal.
docs/statistics.md has why this was chosen, and how often it errs where they are not.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import scipy
from scipy import special

from normexp.analysis.equivalence import left_at_step
from normexp.analysis.family import K, Seeds, holm
from normexp.analysis.intervals import (
    ALPHA,
    Adjusted,
    Interval,
    Values,
    agreeing,
    finite,
    mean_and_error,
)

PRIOR_SD = 2.0  # of the mean in standard deviations: what a few seeds can decide lies at 1 to 6


def sequential_difference(
    differences: Mapping[K, Seeds], alpha: float = ALPHA
) -> dict[K, Adjusted]:
    """Return for each comparison its adjusted anytime-valid p-value and confidence sequence.

    `differences` holds the differences by seed in the order of training. p ≤ `alpha` exactly where
    the interval excludes 0. The intervals hold for all comparisons and at all times together
    (level 1 − `alpha`/comparisons each); one that only a later step of Holm's decides is cut at 0.
    """
    rows = [finite(each.values()) for each in differences.values()]
    adjusted = holm([float(p_difference(row)[-1]) for row in rows])
    return {
        key: Adjusted(
            p,
            agreeing(
                confidence_sequence(row, alpha / len(rows)), float(row.mean()), decided=p <= alpha
            ),
        )
        for key, row, p in zip(differences, rows, adjusted, strict=True)
    }


def sequential_equivalence(
    differences: Mapping[K, Seeds], margin: float, alpha: float = ALPHA
) -> dict[K, Adjusted]:
    """Return for each comparison its adjusted anytime-valid p-value of not being the same.

    p ≤ `alpha` exactly where the interval, of the step of Holm's method that judges it, lies within
    the margin. Raises ValueError on a margin of 0 or less.
    """
    if not margin > 0:
        raise ValueError(f"margin={margin}: a number above 0 is needed")
    rows = [finite(each.values()) for each in differences.values()]
    p_values = [float(p_equivalence(row, margin)[-1]) for row in rows]
    adjusted = holm(p_values)
    levels = [alpha / left for left in left_at_step(p_values, adjusted, alpha)]
    return {
        key: Adjusted(p, confidence_sequence(row, 2 * level, one_sided=True))
        for key, row, p, level in zip(differences, rows, adjusted, levels, strict=True)
    }


def p_difference(x: Values) -> Values:
    """Return the anytime-valid p-value of a mean of 0 after each value; (..., n) to (..., n)."""
    return _p(_log_e_of(x, one_sided=False))


def p_equivalence(x: Values, margin: float) -> Values:
    """Return the anytime-valid p-value of a mean `margin` or more from 0 after each value."""
    sides = [_p(_log_e_of(each, one_sided=True)) for each in (x - margin, -x - margin)]
    return np.maximum(*sides)


def confidence_sequence(
    x: Values, alpha: float = ALPHA, *, one_sided: bool = False
) -> Interval | None:
    """Return the interval for the mean after all values, from all looks so far.

    At no look does the mean lie outside, with probability 1 − `alpha`; if `one_sided`, each of its
    ends is a bound of level 1 − `alpha`/2. None while it is infinite.
    """
    low, high = -float("inf"), float("inf")
    for n in range(2, len(x) + 1):
        mean, error = mean_and_error(x[:n])
        times = _critical_t(n, alpha / 2 if one_sided else alpha, one_sided, error == 0)
        if times == float("inf"):
            continue
        ends = max(low, mean - times * error), min(high, mean + times * error)
        if ends[0] > ends[1]:  # no mean fits all looks: the last ones that fit stand
            break
        low, high = ends
    return None if low == -float("inf") else Interval(low, high)


def _p(log_e: Values) -> Values:
    return np.asarray(np.exp(-np.maximum.accumulate(np.maximum(log_e, 0), axis=-1)))


def _log_e_of(x: Values, *, one_sided: bool) -> Values:
    """Return log E after each value of (..., n)."""
    n = np.arange(1, x.shape[-1] + 1)
    mean = np.cumsum(x, axis=-1) / n
    squares = np.cumsum(x**2, axis=-1)
    rest = squares - n * mean**2
    equal = rest <= 1e-12 * squares  # but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean * np.sqrt(n * (n - 1) / np.where(equal, np.nan, rest))
    wins = (mean < 0) if one_sided else (mean != 0)
    # Equal differences are not normal. The most that signs alone can say stands in for E.
    most = np.where(wins & (n > 1), _most_of_signs(n, one_sided), 0.0)
    return np.where(equal, most, _log_e(np.where(equal, 0.0, t), n, one_sided))


def _most_of_signs(n: Values, one_sided: bool) -> Values:
    return np.asarray((n - (0 if one_sided else 1)) * np.log(2))


def _log_e(t: Values, n: Values, one_sided: bool) -> Values:
    """Return log E; `one_sided` for a mean below 0."""
    g = 1 + PRIOR_SD**2 * n
    nu = np.maximum(n - 1, 1)
    log_e = n / 2 * (np.log1p(t**2 / nu) - np.log1p(t**2 / (nu * g))) - np.log(g) / 2
    if one_sided:
        h = t * np.sqrt((1 - 1 / g) * n / (nu + t**2 / g))
        with np.errstate(divide="ignore"):
            log_e = log_e + np.log(2 * special.stdtr(n, -h))
    return np.where(n > 1, log_e, 0.0)


@cache
def _critical_t(n: int, alpha: float, one_sided: bool, equal: bool) -> float:
    """Return the |t| from which on E is 1/alpha; infinite where none is large enough."""
    count = np.asarray(n, dtype=np.float64)
    wanted = -np.log(alpha)
    if equal:
        return 0.0 if _most_of_signs(count, one_sided) >= wanted else float("inf")

    def lacking(t: float) -> float:
        return float(_log_e(np.asarray(-t), count, one_sided) - wanted)

    largest = 1e4  # beyond, differences are equal but for rounding
    # `scipy.optimize`, which takes a third of a second, is loaded by its first use.
    return (
        float(scipy.optimize.brentq(lacking, 0, largest)) if lacking(largest) > 0 else float("inf")
    )
