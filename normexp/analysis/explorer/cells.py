"""A cell and its comparisons, as plain values: by the functions of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite

from normexp.analysis.compare import Comparison
from normexp.analysis.goes_on import sweeps_of
from normexp.analysis.intervals import Interval
from normexp.analysis.measures import Measure, at_contrast
from normexp.analysis.report.blocks import Block
from normexp.analysis.report.comparisons import compare_cells
from normexp.analysis.report.lens import lens_accuracy
from normexp.analysis.report.training import curves_of
from normexp.analysis.right_images import interval_of
from normexp.analysis.rows import Run
from normexp.analysis.scores import Scores, counts, ended
from normexp.analysis.spread import PERCENT, Spread, spread
from normexp.kinds import typed
from normexp.runs.plain import Plain
from normexp.runs.tested import CONTRAST_LEFT, SEVERITIES
from normexp.tuned import WORD

RUNNING: Sequence[Measure] = [at_contrast(str(severity)) for severity in (0, *SEVERITIES)]
TEST_BATCH: Sequence[Measure] = [
    lens_accuracy(axis="contrast", change=change, level=share, statistics="batch")
    for change, share in (
        ("none", 1.0),
        *(("corruption", share) for share in CONTRAST_LEFT.values()),
    )
]
STATISTICS: Mapping[str, Sequence[Measure]] = {"running": RUNNING, "test batch": TEST_BATCH}
"""Test accuracy at contrast severity 0 to 5, by the statistics that batch norm uses."""
DIGITS = 4  # of percentages: a test image of 10,000 is 0.01


def grades(block: Block, measure: Measure, margin: float) -> Plain:
    """Return the comparisons with the reference, a row for each series: one family."""
    found = {(e.series, e.column): e for e in compare_cells([block], None, margin, measure)}
    rows = [
        [_comparison(found[s, c].comparison) if (s, c) in found else None for c in block.columns]
        for s in block.series
    ]
    reference = next((typed(each.reference) for each in found.values()), None)
    return {"reference": reference, "rows": rows}


def _comparison(found: Comparison) -> Plain:
    graded = found.graded
    if graded is None:
        return {"text": found.text}
    return {
        "text": found.text,
        "n": graded.seeds,
        "mean": round(graded.mean, DIGITS),
        "interval": _ends(graded.interval),
        "open": bool(graded.interval and graded.interval.without_zero),
        "p": round(graded.p, DIGITS),
    }


def cell(
    block: Block,
    place: tuple[object, object],
    factors: Sequence[str],
    known: Mapping[str, Sequence[Measure]],
    level: float,
) -> Plain:
    runs = block.cell(*place)
    x, seeds = curves_of(runs, "images")
    states = [run.state for run in runs if run.state not in ("finished", "diverged")]
    note = Scores({}, *counts(runs), runs=ended(runs)).note
    lacking = f"{len(states)} of {len(runs)} without a result" if states else ""
    by_seed = ",".join(str(run.seed) for run in sorted(runs, key=lambda run: run.seed))
    return {
        "at": {key: typed(runs[0].factors.get(key)) for key in factors},
        "runs": len(runs),
        "note": "; ".join(filter(None, [note, lacking])),
        "lr": typed(runs[0].spec.optimizer.lr),
        "command": sweeps_of([_with_rate(run) for run in runs], f"seed={by_seed}"),
        "images": _ends(interval_of(runs)),
        "accuracy": {
            name: [_spread(block.accuracy(*place, measure, level)) for measure in measures]
            for name, measures in known.items()
        },
        "curve": {
            "x": x,
            "y": [_spread(spread(ys, level, PERCENT)) for ys in zip(*seeds, strict=True)],
        },
    }


def _with_rate(run: Run) -> Run:
    """Return the run with its learning rate in its command; the word may mean another one now."""
    rate = f"optimizer.lr={typed(run.spec.optimizer.lr)}"
    return replace(run, command=run.command.replace(f"optimizer.lr={WORD}", rate))


def _spread(found: Spread | None) -> Plain | None:
    if found is None:
        return None
    return {"mean": round(found.mean, DIGITS), "interval": _ends(found.interval), "n": found.n}


def _ends(found: Interval | None) -> list[float | None] | None:
    """Return the ends, None for one that is infinite, which JSON does not know."""
    if found is None:
        return None
    return [round(end, DIGITS) if isfinite(end) else None for end in (found.low, found.high)]
