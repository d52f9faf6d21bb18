"""Error, power and coverage of the tests and intervals of normexp/analysis, by simulation.

usage: scripts/simulate power|sequential|coverage|tune [--studies 1000]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from normexp.analysis.equivalence import equivalence
from normexp.analysis.family import holm, joint_sign_flips, signs
from normexp.analysis.intervals import ALPHA, t_interval
from normexp.analysis.seeds_and_images import difference_over_images
from normexp.analysis.sequential import p_difference, p_equivalence
from normexp.commands.rates import (
    FACTORS,
    FIRST_SEED,
    MORE_SEEDS,
    MOST_WIDENINGS,
    chosen,
    two_best,
    widened,
)

Array = NDArray[np.float64]
Draw = Callable[[tuple[int, ...]], Array]
COMPARISONS = 32
FAMILY, MAX_SEEDS, FIRST_LOOK = 4, 20, 3
CONTROL = 250  # studies in which each look is judged by sign flips, which takes longest
MARGIN, SD = 0.5, 0.5  # points
IMAGES = 1000
CONFIRMATION = 6  # seeds of two norms that were tuned
SEED_SD = 0.2  # points, of a cell: ResNet-20 on CIFAR-10
CHANCE, COLLAPSE = 0.1, 0.1  # the accuracy of a collapsed seed, and the share of such seeds


def main() -> None:
    tables = {"power": power, "sequential": sequential, "coverage": coverage, "tune": tune}
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("table", choices=tables)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tables[arguments.table](arguments.studies, np.random.default_rng(arguments.seed))


def show(head: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    print("|", " | ".join(head), "|")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("|", " | ".join(row), "|", flush=True)
    print()


def percent(share: float | np.floating) -> str:
    return f"{100 * share:.1f} %"


def against_reference(draw: Draw, shape: tuple[int, int, int]) -> Array:
    """Differences (studies, comparisons, seeds) of cells from one reference, of deviation 1."""
    studies, comparisons, seeds = shape
    values = draw((studies, comparisons + 1, seeds))
    return np.asarray((values[:, 1:] - values[:, :1]) / 2**0.5)


def power(studies: int, rng: np.random.Generator) -> None:
    """Half of the comparisons differ; all from one reference, so that they correlate by 0.5."""
    methods = ("max-\\|t\\|", "Holm, sign flips", "Holm, t")
    head = ["seeds", "effect", *(f"{m}: {what}" for m in methods for what in ("error", "power"))]
    head += ["all 32 intervals hold"]
    show(head, (power_row(n, sd, studies, rng) for n in (6, 8) for sd in (2, 4)))


def power_row(n: int, sd: float, studies: int, rng: np.random.Generator) -> list[str]:
    effects = np.where(np.arange(COMPARISONS) < COMPARISONS // 2, 0.0, sd)
    tables = against_reference(rng.standard_normal, (studies, COMPARISONS, n)) + effects[:, None]
    p = np.empty((3, studies, COMPARISONS))
    hold = 0
    for i, table in enumerate(tables):
        found = joint_sign_flips({j: dict(enumerate(row)) for j, row in enumerate(table)})
        p[0, i] = [each.p for each in found.values()]
        hold += all(
            each.interval is not None
            and each.interval.low <= effect <= each.interval.high
            and not (each.interval.without_zero and effect == 0)
            for each, effect in zip(found.values(), effects, strict=True)
        )
        sums = np.abs(table @ signs(n))
        p[1, i] = holm((sums >= sums[:, :1] - 1e-9).mean(axis=1).tolist())
        t = table.mean(axis=1) / table.std(axis=1, ddof=1) * np.sqrt(n)
        p[2, i] = holm((2 * special.stdtr(n - 1, -np.abs(t))).tolist())
    decided = p <= ALPHA
    error = decided[..., effects == 0].any(axis=-1).mean(axis=-1)
    found_share = decided[..., effects > 0].mean(axis=(-2, -1))
    shares = [percent(s) for pair in zip(error, found_share, strict=True) for s in pair]
    return [str(n), f"{sd} sd", *shares, percent(hold / studies)]


def cells(rng: np.random.Generator) -> dict[str, Draw]:
    """What the runs of a cell may be, in deviations of a normal one."""

    def collapsing(shape: tuple[int, ...]) -> Array:
        return rng.standard_normal(shape) - 100 * (rng.random(shape) < COLLAPSE)

    def lognormal(shape: tuple[int, ...]) -> Array:
        x = rng.lognormal(size=shape)
        return np.asarray((x - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e))

    return {"normal": rng.standard_normal, "lognormal": lognormal, "a tenth collapsed": collapsing}


def sequential(studies: int, rng: np.random.Generator) -> None:
    shape = (studies, FAMILY, MAX_SEEDS)
    print(f"Families of {FAMILY} without a difference: any called different.\n")
    nulls = {f"{name} cells": against_reference(draw, shape) for name, draw in cells(rng).items()}
    nulls["skewed differences (lognormal)"] = cells(rng)["lognormal"](shape)
    head = ["", "`until=decided`", "control: sign flips at each seed", "control: t at each seed"]
    show(head, (null_row(name, SD * x) for name, x in nulls.items()))
    print(f"Families of {FAMILY} that all differ by as much, deviation {SD}.\n")
    head = ["difference", "different", "the same", "open", "seeds, mean", "seeds saved"]
    noise = SD * against_reference(rng.standard_normal, shape)
    rows = (saved_row(each, noise) for each in (0.0, 0.5, 1.0, 3.0))
    show([*head, "planned: seeds for 80 % power"], rows)


def null_row(name: str, x: Array) -> list[str]:
    different, _, _ = until_decided(x)
    n = np.arange(FIRST_LOOK, MAX_SEEDS + 1)
    errors = np.stack([x[..., :k].std(-1, ddof=1) / k**0.5 for k in n])
    t = np.abs(np.stack([x[..., :k].mean(-1) for k in n]) / errors)
    p = 2 * special.stdtr(n[:, None, None] - 1, -t)
    by_t = (p <= ALPHA / FAMILY).any(axis=(0, 2))  # the first step of Holm's method decides any
    looks = [by_flips(x[:CONTROL, :, :k]).any(axis=1) for k in range(6, MAX_SEEDS + 1)]
    shares = (different.any(axis=1).mean(), np.any(looks, axis=0).mean(), by_t.mean())
    return [name, *map(percent, shares)]


def saved_row(difference: float, noise: Array) -> list[str]:
    different, same, seeds = until_decided(noise + difference)
    shares = (different.mean(), same.mean(), 1 - different.mean() - same.mean())
    mean = float(seeds.mean())
    control = noise[:CONTROL] + difference
    powers = ((n, by_flips(control[..., :n]).mean()) for n in range(6, MAX_SEEDS + 1))
    needed = next((str(n) for n, power in powers if power >= 0.8), f"more than {MAX_SEEDS}")
    counts = [f"{mean:.1f}", f"{MAX_SEEDS - mean:.1f}", needed if difference else "–"]
    return [f"{difference:g}", *map(percent, shares), *counts]


def by_flips(studies: Array) -> NDArray[np.bool_]:
    """Which comparisons the test for a planned number of seeds decides, (studies, comparisons)."""
    tables = ({j: dict(enumerate(row)) for j, row in enumerate(study)} for study in studies)
    found = [[each.p for each in joint_sign_flips(table).values()] for table in tables]
    return np.array(found) <= ALPHA


def until_decided(x: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Which comparisons are decided, different or the same, and at which seed each stops."""
    p = {"different": p_difference(x), "same": p_equivalence(x, MARGIN)}
    decided = {name: np.zeros(x.shape[:2], dtype=bool) for name in p}
    seeds = np.full(x.shape[:2], MAX_SEEDS)
    for i in range(len(x)):
        now = {name: each[i, :, FIRST_LOOK - 1].copy() for name, each in p.items()}
        for n in range(FIRST_LOOK, MAX_SEEDS + 1):
            going = ~(decided["different"][i] | decided["same"][i])
            for name, each in p.items():
                now[name][going] = each[i, going, n - 1]
                passed = np.array(holm(now[name].tolist())) <= ALPHA
                decided[name][i] |= passed & going
            stops = going & (decided["different"][i] | decided["same"][i])
            seeds[i, stops] = n
            if not going.any():
                break
    return decided["different"], decided["same"], seeds


def coverage(studies: int, rng: np.random.Generator) -> None:
    """Difference of two cells that see the same images; images and seeds shift the logit."""
    head = ["first cell", "seeds", "over seeds: these images", "over seeds: other images"]
    head += ["over seeds and images: other images", "half width, seeds", "half width, both"]
    cases = ((collapse, n) for collapse in (0.0, COLLAPSE) for n in (3, 6, 8))
    show(head, (coverage_row(collapse, n, studies, rng) for collapse, n in cases))


def coverage_row(collapse: float, n: int, studies: int, rng: np.random.Generator) -> list[str]:
    shifts, hard, between, seed = np.array([1.6, 1.5]), 2.5, 0.5, 0.05
    nodes, weights = np.polynomial.hermite_e.hermegauss(99)
    weights = weights / weights.sum()
    everywhere = special.expit(shifts[:, None] + nodes * np.hypot(np.hypot(hard, between), seed))
    share = np.array([collapse, 0.0])  # only the first cell collapses
    population = first_less_second(everywhere @ weights, share)
    hits, widths = np.zeros(3), np.zeros(2)
    for _ in range(studies):
        images = shifts[:, None] + hard * rng.standard_normal(IMAGES)
        images = images + between * rng.standard_normal((2, IMAGES))
        here = first_less_second(special.expit(images).mean(axis=1), share)
        runs = images[:, None] + seed * rng.standard_normal((2, n, 1))
        chances = np.where(
            rng.random((2, n, 1)) < share[:, None, None], CHANCE, special.expit(runs)
        )
        right = rng.random((2, n, IMAGES)) < chances
        over_seeds = t_interval(right[0].mean(axis=1) - right[1].mean(axis=1))
        over_both = difference_over_images(right[0], right[1]).interval
        assert over_seeds is not None
        pairs = ((over_seeds, here), (over_seeds, population), (over_both, population))
        hits += [each.low <= truth <= each.high for each, truth in pairs]
        widths += [50 * (each.high - each.low) for each in (over_seeds, over_both)]
    points = (f"{width:.1f} points" for width in widths / studies)
    return [
        "a tenth collapsed" if collapse else "normal",
        str(n),
        *map(percent, hits / studies),
        *points,
    ]


def tune(studies: int, rng: np.random.Generator) -> None:
    """Two norms of one best accuracy, which falls with the square of the rate's logarithm."""
    head = ["a factor of 2 from the best rate costs", "itself, same seeds: different"]
    head += ["itself, other seeds: different", "the same"]
    head += ["best rate × 4, tuned: different", "the same", "one rate: different", "the same"]
    show(head, (tune_row(cost, studies, rng) for cost in (0.1, 0.3, 0.5, 1.0, 3.0)))


def tune_row(cost: float, studies: int, rng: np.random.Generator) -> list[str]:
    counts = np.zeros((4, 2))
    for _ in range(studies):
        best = rng.uniform(-0.5, 0.5)  # as a power of 2, from a rate that is tried
        first = loss_of_choice(cost, best, rng)
        second = loss_of_choice(cost, best, rng)
        shifted = loss_of_choice(cost, best + 2, rng)
        pairs = (0.0, first - second, first - shifted, cost * ((best + 2) ** 2 - best**2))
        noise = SEED_SD * 2**0.5 * rng.standard_normal(CONFIRMATION)
        for i, difference in enumerate(pairs):
            x = {0: dict(enumerate(noise * (i > 0) + difference))}
            same = equivalence(x, MARGIN)[0].p <= ALPHA
            counts[i] += (not same and joint_sign_flips(x)[0].p <= ALPHA, same)
    shares = [percent(share) for share in counts.reshape(-1) / studies]
    return [f"{cost:g} points", shares[0], *shares[2:]]


def loss_of_choice(cost: float, best: float, rng: np.random.Generator) -> float:
    """Tune one norm; return how far the accuracy at the chosen rate is from the best, in points."""
    found: dict[float, dict[int, float]] = {}

    def train(rates: Sequence[float], seeds: Sequence[int]) -> None:
        for rate in rates:
            for seed in seeds:
                value = -cost * (np.log2(rate) - best) ** 2 + SEED_SD * rng.standard_normal()
                found.setdefault(rate, {}).setdefault(seed, value)

    factors = list(FACTORS)
    train(factors, [FIRST_SEED])
    for _ in range(MOST_WIDENINGS):
        factors = widened(factors, two_best(found)[:1])
        train(factors, [FIRST_SEED])
    train(two_best(found), MORE_SEEDS)
    return float(-cost * (np.log2(chosen(found)[0]) - best) ** 2)


def first_less_second(accuracies: Array, collapsed: Array) -> float:
    first, second = accuracies + collapsed * (CHANCE - accuracies)
    return float(first - second)


if __name__ == "__main__":
    main()
