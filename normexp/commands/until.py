"""`until=decided`: a sweep to which seeds are added where comparisons of norms are open.

A sweep and a comparison alternate. The comparisons are those of a report: each norm with batch
norm (without one, with the first norm) where nothing else differs. The runs bear the sequential
design, so they are judged by tests that hold at every look, and one that is decided stays so. Only
cells of an open comparison get their next seed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from normexp import build
from normexp.analysis.grades import Grade
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import CellComparison, compare_cells
from normexp.analysis.rows import Run
from normexp.errors import UserError
from normexp.runs.catalogue import read_entry
from normexp.runs.folder import RunFolder
from normexp.runs.looks import note_look
from normexp.runs.text import aligned, plural
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended
from normexp.sweep.sweep import conclude

FIRST_SEEDS = (0, 1, 2)  # where none is given

Series = Mapping[str, Sequence[Cell]]  # the runs of each cell, one a seed, by the cell's name
CarryOut = Callable[[Sequence[Cell]], Mapping[str, Ended]]


def until_decided(lists: Sequence[Sequence[str]], cells: Sequence[Cell], work: CarryOut) -> None:
    """Carry out the `cells`, composed of `lists` of overrides, and add seeds until all is decided.

    `work` carries out cells and returns how they ended. Stops where a run fails, or where every
    cell of an open comparison has `max_seeds`. Raises UserError as a sweep does.
    """
    cells = started(lists, cells)
    most = most_seeds(cells)
    rounds = 1
    new: Sequence[Cell] = cells
    while new:
        ends = work(new)
        left_out = {label: end.words for label, end in ends.items() if end.how == "left out"}
        for label, words in left_out.items():
            print(f"left out: {label}: {words}")
        known = [*cells, *(cell for cell in new if cell not in cells)]
        cells = [cell for cell in known if cell.label not in left_out]
        stop_unless_finished(cells, ends)
        series = by_name(cells)
        judged = judge([Run.of(read_entry(cell.folder)) for cell in cells])
        new = next_cells(series, judged, most)
        if new:
            rounds += 1
            print(round_line(rounds, judged, new), flush=True)
    note_look(Path(cells[0].runtime.outputs).expanduser(), seeds_of(series))
    conclude(cells, {})
    print("\n".join(last_words(judged, series, most)))


def started(lists: Sequence[Sequence[str]], cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells, on the first seeds where no seed was given."""
    if any(each.lstrip("+").startswith("seed=") for each in lists[0]):
        return list(cells)
    return [with_seed(cell, seed) for cell in cells for seed in FIRST_SEEDS]


def most_seeds(cells: Sequence[Cell]) -> int:
    """Return the most seeds of a cell; raises UserError where the settings do not fit together."""
    asked = {(cell.runtime.until, cell.runtime.max_seeds) for cell in cells}
    if len(asked) > 1:
        raise UserError("until and max_seeds: one value is needed for all cells of a sweep")
    most = cells[0].runtime.max_seeds or 0
    series = by_name(cells)
    if most < (given := max(map(len, series.values()))):
        raise UserError(f"max_seeds={most}: {given} seeds are given; take {given} or more")
    rows = [Run(cell.folder, cell.spec, "unfinished") for cell in cells]
    if not judge(rows):
        raise UserError(
            "until=decided: there is nothing to compare; give two norms or more, such as "
            "norm=batch,instance"
        )
    return most


def stop_unless_finished(cells: Sequence[Cell], ends: Mapping[str, Ended]) -> None:
    """Show the cells and raise UserError where some have no result."""
    missing = [cell for cell in cells if not cell.is_finished]
    if missing:
        conclude(cells, ends)
        raise UserError(
            f"{plural(len(missing), 'cell')} not finished; the same command goes on from there"
        )


def with_seed(cell: Cell, seed: int) -> Cell:
    spec = replace(cell.spec, seed=seed)
    label = [word for word in cell.label.split(" ") if not word.startswith("seed=")]
    kept = [each for each in cell.arguments if not each.lstrip("+").startswith("seed=")]
    return replace(
        cell,
        label=" ".join([*label, f"seed={seed}"]),
        spec=spec,
        folder=RunFolder.of(Path(cell.runtime.outputs).expanduser(), spec),
        arguments=(*kept, f"seed={seed}"),
    )


def by_name(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells' runs by name, in the order of their seeds."""
    series: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.spec.seed):
        series.setdefault(cell.spec.cell_name, []).append(cell)
    return series


def seeds_of(series: Series) -> dict[str, list[int]]:
    return {name: [cell.spec.seed for cell in cells] for name, cells in series.items()}


def judge(runs: Sequence[Run]) -> list[CellComparison]:
    """Return the comparisons that a report makes by itself."""
    chosen = OmegaConf.load(Path(build.conf_dir(), "report.yaml"))
    return compare_cells(blocks(runs, list(chosen.by)), None, float(chosen.margin))


def next_cells(series: Series, judged: Sequence[CellComparison], most: int) -> list[Cell]:
    """Return the next run of each cell of an open comparison that has not `most` seeds yet."""
    names = {run.spec.cell_name for each in judged if is_open(each) for run in each.runs}
    return [
        with_seed(cells[-1], cells[-1].spec.seed + 1)
        for name, cells in series.items()
        if name in names and len(cells) < most
    ]


def is_open(judged: CellComparison) -> bool:
    """Whether more seeds may decide it."""
    return judged.comparison.is_undecided


def round_line(number: int, judged: Sequence[CellComparison], new: Sequence[Cell]) -> str:
    seeds = sorted({cell.spec.seed for cell in new})
    return (
        f"round {number}: {sum(map(is_open, judged))} of {plural(len(judged), 'comparison')} "
        f"open; {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))} "
        f"for {plural(len(new), 'cell')}"
    )


def last_words(judged: Sequence[CellComparison], series: Series, most: int) -> list[str]:
    """Return what was decided, a line a comparison, and how to go on with what is open."""
    rows = [["test accuracy, points", "seeds", "interval", "", ""]]
    grades = [(each.name, each.comparison.graded) for each in judged]
    for what, graded in grades:
        if graded is None:  # one of the two cells is not there
            continue
        shown = graded.interval.text() if graded.interval else "–"
        rows.append([what, str(graded.seeds), shown, graded.text(), graded.lead])
    lines = [aligned(rows)]
    every = plural(len(judged), "comparison")
    if chance := sum(g is not None and g.grade is Grade.NOT_ABOVE_CHANCE for _, g in grades):
        lines.append(
            f"{chance} of {every} not above chance, which more seeds do not mend: train longer, or "
            "choose learning rates with normexp tune"
        )
    still = sum(map(is_open, judged))
    if not still:
        return [*lines, f"{every}: none is open"]
    seeds = max(map(len, series.values()))
    return [
        *lines,
        f"{still} of {every} still open after {seeds} seeds; max_seeds={2 * most} goes on",
    ]
