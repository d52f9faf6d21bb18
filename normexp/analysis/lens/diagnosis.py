"""What the lens' rows say about a network's statistics, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import log, sqrt
from statistics import fmean

from normexp.runs.record import LensRow

LEAST = 1.0
"""Points of accuracy; less is not told as a loss."""
SMALL = 8
"""Images of a batch whose statistics are noisy."""
YOUNG = 0.1
"""Share of the first 0 and 1 in running statistics from which on it is told."""
EXPLAINED = 0.7
"""R² from which on running statistics are taken for a mixture of the first and the right ones."""
FAR = 0.25
"""Distance of running means, in standard deviations, from which on they are of other data."""
TRAINED_OTHERWISE = frozenset({"BatchRenorm", "FrozenBatchNorm", "GhostBatchNorm"})
"""Layers that in training have other statistics than those of the whole batch."""
CLEAN, HALF = ("none", 1.0), ("corruption", 0.5)
"""Changes of the test images that are told, and their levels."""


def diagnosis(
    rows: Sequence[LensRow], batch_size: int, layers: Collection[str] = ()
) -> Iterator[str]:
    """Yield sentences on a network that was trained in batches of `batch_size`.

    `rows` are those that `evaluation/lens.py` describes, `layers` the classes of its layers.
    Differences of less than a point, or within the standard error of so many test images, are none.
    """
    plain = [r for r in rows if r["axis"] == "statistics" and r["change"] == "none"]
    if not plain:
        return
    running = next(100 * row["accuracy"] for row in plain if row["statistics"] == "running")
    batches, precise = (_by_size(plain, name) for name in ("batch", "precise"))
    if len(plain) > 1 and all(row["largest"] == 0 for row in plain):
        yield (
            "No layer has batch statistics: train mode and eval mode give the same logits, and "
            f"{running:.1f} % are right."
        )
    elif batches:
        own, largest = _nearest(batches, batch_size), max(batches)
        at = max(own, largest, key=lambda size: batches[size])
        margin = _margin(plain[0])
        new = precise[_nearest(precise, batch_size)] if precise else running
        yield _verdict(rows, running, new, (at, batches[at]), margin, layers)
        if own <= SMALL < largest and batches[largest] - batches[own] > margin:
            yield (
                f"Batches of {own} are too small for their statistics: {batches[own]:.1f} % are "
                f"right with those of {own} images, {batches[largest]:.1f} % with {largest}. "
                "norm=group does not depend on the batch; norm=batch_frozen fixes statistics."
            )
    yield from _contrast(rows)


def _verdict(
    rows: Sequence[LensRow],
    running: float,
    new: float,
    batch: tuple[int, float],
    margin: float,
    layers: Collection[str],
) -> str:
    """Compare running statistics with `new`, re-estimated ones, and with those of test batches."""
    size, best = batch
    lose, of_batch = "Eval mode loses", f"in batches of {size}, in training"
    if TRAINED_OTHERWISE & {*layers}:
        lose, of_batch = "Running statistics lose", f"with those of batches of {size}"
    both = f"{best:.1f} % are right {of_batch}, {running:.1f} % in eval"
    lost, gained = best - running, new - running
    if max(lost, gained) <= margin:
        return (
            f"The running statistics are good: {both}; with so many test images, {margin:.1f} "
            "points or less are no difference."
        )
    if gained > max(lost / 2, margin):
        return (
            f"{lose} {max(lost, gained):.1f} points ({both}). With statistics "
            f"re-estimated over training batches {new:.1f} % are right: the running statistics are "
            f"wrong, not the weights. {_cause(rows)} normexp recalibrate mends them."
        )
    if lost - gained <= margin:
        return (
            f"{lose} {lost:.1f} points ({both}). With statistics re-estimated over "
            f"training batches {new:.1f} % are right, which is too near to both for so few test "
            "images to tell the cause."
        )
    return (
        f"{lose} {lost:.1f} points ({both}). Statistics re-estimated over training "
        f"batches do not bring them back ({new:.1f} %), those of the test batches do: the test "
        "images differ from the training images, in contrast, brightness or colour; "
        "contrast=jitter trains for that, norm=stem_instance takes each image's own statistics."
    )


def _cause(rows: Sequence[LensRow]) -> str:
    """Say what is wrong with the running statistics."""
    layers = [row for row in rows if row["axis"] == "layers"]
    if not layers:
        return ""
    initial, explained, shift = (
        fmean(row[key] for row in layers) for key in ("initial", "explained", "shift")
    )
    if initial > YOUNG and explained > EXPLAINED:
        return (
            f"They are still {100 * initial:.0f} % the 0 and 1 that they started from, after "
            f"{layers[0]['batches']} batches: their momentum is too small for so few."
        )
    distance = f"Their means are {shift:.2f} standard deviations from those of the training images"
    if shift > FAR:
        return f"{distance}: they are of other images, or were frozen while the weights changed."
    return f"{distance}: the last batches were too few or too small."


def _contrast(rows: Sequence[LensRow]) -> Iterator[str]:
    found = {
        (row["change"], row["level"], row["statistics"]): 100 * row["accuracy"]
        for row in rows
        if row["axis"] == "contrast"
    }
    clean, less = found.get((*CLEAN, "running")), found.get((*HALF, "running"))
    if clean is None or less is None:
        return
    margin = _margin(next(row for row in rows if row["axis"] == "contrast"))
    if abs(clean - less) <= margin:
        yield (
            f"At half the contrast {less:.1f} % are right, at full contrast {clean:.1f} %: no "
            f"difference of more than {margin:.1f} points."
        )
        return
    more = "fewer" if less < clean else "more"
    words = f"At half the contrast {less:.1f} % are right, {abs(clean - less):.1f} points {more}"
    by_batch = found.get((*HALF, "batch"), less)
    if by_batch - less > max(margin, (clean - less) / 2):
        words += f"; with the test batches' own statistics {by_batch:.1f} %"
    yield f"{words}."


def _margin(row: LensRow) -> float:
    """Return the largest difference, in points of accuracy, that its images cannot tell from 0."""
    return max(LEAST, 100 * sqrt(0.5 / row["images"]))


def _by_size(rows: Sequence[LensRow], statistics: str) -> dict[int, float]:
    return {
        row["batch_size"]: 100 * row["accuracy"] for row in rows if row["statistics"] == statistics
    }


def _nearest(values: Mapping[int, float], size: int) -> int:
    return min(values, key=lambda each: abs(log(each / size)))
