"""The set-up that opens a report, and the curves of the learning rates that were tried."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from normexp.analysis.render.document import NONE, Section, Table, number
from normexp.analysis.rows import Run
from normexp.kinds import typed
from normexp.tuned import Tuned, key_of


def setup_table(lines: Mapping[str, str]) -> Table:
    """Return what was trained, by the lines of `setup`."""
    rows = [[name, words] for name, words in lines.items()]
    caption = "The settings that the conclusions rest on."
    return Table("setup", caption, ["setting", "what"], rows)


def rates_section(words: str, runs: Sequence[Run], tuned: Sequence[Tuned] = ()) -> Section:
    """Return the learning rates in `words`, and how they were chosen."""
    section = Section("Learning rate", [f"{words}."])
    keys = {key_of(run.spec) for run in runs} if tuned else set()
    if used := [cell for cell in tuned if cell.key in keys]:
        section.tables.append(_curves(used))
    return section


def _curves(cells: Sequence[Tuned]) -> Table:
    """Return the validation accuracy of every rate that was tried, and the chosen one."""
    rates = sorted({trial.lr for cell in cells for trial in cell.trials})
    rows = []
    for cell in cells:
        means = {trial.lr: 100 * fmean(trial.val_accuracy) for trial in cell.trials}
        edge = " (at the edge of what was tried)" if cell.at_edge else ""
        shown = [number(means.get(rate)) if rate in means else NONE for rate in rates]
        rows.append([cell.cell, *shown, f"{typed(cell.lr)}{edge}"])
    caption = (
        "How the learning rates were chosen: validation accuracy in percent on exploration seeds; "
        "a diverged run counts as 0. Two rates have three seeds, the others one."
    )
    head = ["tuned", *(f"lr {typed(rate)}" for rate in rates), "chosen"]
    return Table("rates", caption, head, rows)
