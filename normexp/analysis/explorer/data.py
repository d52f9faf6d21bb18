"""What the explorer's page holds: every cell and every comparison, as plain values.

The page only chooses and draws. Means, intervals and grades come from the functions of the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations

from normexp.analysis.explorer.cells import STATISTICS, cell, grades
from normexp.analysis.literature import Published, shapes
from normexp.analysis.render.colours import look
from normexp.analysis.report.blocks import Block, blocks, factors_of
from normexp.analysis.rows import Run, by_study, design_of
from normexp.analysis.setup import setup
from normexp.kinds import typed
from normexp.runs.plain import Plain
from normexp.tuned import TRIALS, Tuned


@dataclass(frozen=True)
class Source:
    """Runs that the page shows beside others."""

    name: str
    words: str
    runs: Sequence[Run]
    tuned: Sequence[Tuned] = ()  # the learning rates that were chosen
    study: str | None = None  # the only one that is shown


def explorer_data(
    sources: Sequence[Source], published: Sequence[Published], margin: float, level: float
) -> Plain:
    """Return all that the page shows: a set for each study of each source."""
    sets = [
        _set(source, study, runs, published, (margin, level))
        for source in sources
        for study, runs in _studies(source).items()
    ]
    names = {value for each in sets for cell in each["cells"] for value in cell["at"].values()}
    names |= {norm for each in published for norm in each.numbers}
    return {
        "level": level,
        "margin": margin,
        "sources": {source.name: source.words for source in sources},
        "looks": {name: look(name) for name in sorted(names)},
        "sets": sets,
        "published": [{**asdict(each), "where": each.conditions} for each in published],
    }


def _studies(source: Source) -> dict[str, Sequence[Run]]:
    """Return the runs by study, the largest first; those that only chose a rate come last.

    A run may be of several studies, or of none.
    """
    if source.study is not None:
        return {source.study: source.runs}
    found: dict[str, Sequence[Run]] = {**by_study(source.runs)}
    if without := [run for run in source.runs if not run.studies]:
        found["no study"] = without
    return dict(sorted(found.items(), key=lambda item: (_is_of_trials(item[0]), -len(item[1]))))


def _is_of_trials(study: str) -> bool:
    return study.startswith(TRIALS)


def _set(
    source: Source,
    study: str,
    runs: Sequence[Run],
    published: Sequence[Published],
    judged: tuple[float, float],
) -> Plain:
    margin, level = judged
    factors = factors_of(runs)
    known = {
        name: measures
        for name, measures in STATISTICS.items()
        if any(measure(run) is not None for run in runs for measure in measures)
    }
    cells: dict[frozenset[str], Plain] = {}
    tables: dict[str, list[Plain]] = {}
    for by in permutations(factors, min(2, len(factors))):
        for block in blocks(runs, by):
            for place, own in block.cells.items():
                if (names := _names(own)) not in cells:  # each stands in a table of each order
                    cells[names] = cell(block, place, factors, known, level)
            table = _table(block, factors, list(cells))
            found = {
                name: [grades(block, measure, margin) for measure in measures]
                for name, measures in known.items()
            }
            tables.setdefault("|".join(by), []).append({**table, "grades": found})
    return {
        "source": source.name,
        "study": study,
        "trials": _is_of_trials(study),
        "design": str(design_of(runs)),
        "setup": setup(runs, source.tuned),
        "factors": factors,
        "statistics": list(known),
        "cells": list(cells.values()),
        "tables": tables,
        "shapes": {each.name: [s.plain for s in shapes(each, runs)] for each in published},
    }


def _names(runs: Sequence[Run]) -> frozenset[str]:
    return frozenset(run.name for run in runs)


def _table(block: Block, factors: Sequence[str], order: Sequence[frozenset[str]]) -> Plain:
    """Return where a block stands, and the number of the cell at each series and column."""
    fixed = {
        key: typed(values.pop())
        for key in factors
        if key not in block.by and len(values := {run.factors.get(key) for run in block.runs}) == 1
    }
    rows = [
        [order.index(_names(own)) if (own := block.cell(s, c)) else None for c in block.columns]
        for s in block.series
    ]
    columns = [typed(column) for column in block.columns] if len(block.by) > 1 else []
    series = [*map(typed, block.series)]
    return {"title": block.title, "at": fixed, "series": series, "columns": columns, "rows": rows}
