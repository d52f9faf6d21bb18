"""The set-up that opens a report, and the curves of the learning rates that were tried."""

from collections.abc import Sequence
from statistics import fmean

from normexp.analysis.render.document import NONE, Section, Table, number
from normexp.analysis.rows import Run
from normexp.analysis.setup import setup
from normexp.settings import typed
from normexp.tuned import Tuned, key_of


def setup_section(runs: Sequence[Run], tuned: Sequence[Tuned] = ()) -> Section:
    rows = [[name, words] for name, words in setup(runs, tuned).items()]
    caption = "What the conclusions rest on: the settings of the runs below."
    section = Section("What was trained")
    section.tables.append(Table("setup", caption, ["setting", "what"], rows))
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
