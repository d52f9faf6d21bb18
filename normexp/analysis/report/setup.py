"""The set-up that opens a report, and the curves of the learning rates that were tried."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from normexp.analysis.render.document import NONE, Section, Table, number
from normexp.analysis.report.blocks import factors_of
from normexp.analysis.rows import Run
from normexp.kinds import typed
from normexp.tuned import Tuned, key_of

COMPARED = ("norm", "batch_size")


def setup_table(lines: Mapping[str, str]) -> Table:
    """Return what was trained, by the lines of `setup`."""
    rows = [[name, words] for name, words in lines.items()]
    caption = "The settings that the conclusions rest on."
    return Table("setup", caption, ["setting", "what"], rows)


def rates_section(words: str, runs: Sequence[Run], tuned: Sequence[Tuned] = ()) -> Section:
    """Return the learning rates in `words`, and how they were chosen."""
    section = Section("Learning rate", [f"{words}."])
    by_key = {cell.key: cell for cell in tuned}  # of one cell the last is the newest
    of_key: dict[str, Run] = {}
    for run in runs if tuned else ():
        of_key.setdefault(key_of(run.spec), run)
    if used := [(run, by_key[key]) for key, run in of_key.items() if key in by_key]:
        section.tables.append(_curves(used))
    return section


def _curves(used: Sequence[tuple[Run, Tuned]]) -> Table:
    """Return the validation accuracy of every rate that was tried, and the chosen one."""
    names = _names([run for run, _ in used])
    rates = sorted({trial.lr for _, cell in used for trial in cell.trials})
    rows = []
    for name, (_, cell) in zip(names, used, strict=True):
        means = {trial.lr: 100 * fmean(trial.val_accuracy) for trial in cell.trials}
        edge = " (at the edge of what was tried)" if cell.at_edge else ""
        shown = [number(means.get(rate)) if rate in means else NONE for rate in rates]
        rows.append([name, *shown, f"{typed(cell.lr)}{edge}"])
    caption = (
        "How the learning rates were chosen: validation accuracy in percent on exploration seeds; "
        "a diverged run counts as 0. Two rates have three seeds, the others one. A setting that is "
        "not named has the value of most rows."
    )
    head = ["tuned", *(f"lr {typed(rate)}" for rate in rates), "chosen"]
    return Table("rates", caption, head, rows)


def _names(runs: Sequence[Run]) -> list[str]:
    """Return the settings that tell the runs apart: what is compared, and what few of them have."""
    factors = factors_of(runs)
    values = {key: [run.factors.get(key) for run in runs] for key in factors}
    usual = {key: max(own, key=own.count) for key, own in values.items() if key not in COMPARED}
    return [
        " ".join(
            f"{key}={typed(values[key][i])}"
            for key in factors
            if key in COMPARED or values[key][i] != usual[key]
        )
        for i in range(len(runs))
    ]
