"""`normexp evaluate`: the lens, on one run or on several at once."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from normexp.analysis.lens.diagnosis import diagnosis
from normexp.analysis.lens.tables import comparison, short_names, tables
from normexp.commands.columns import WIDTH
from normexp.commands.composed import composed
from normexp.commands.found import finished, named
from normexp.commands.looking import lens_on, lens_on_network, spec_of
from normexp.commands.quoting import is_of_network
from normexp.commands.report import checked_settings
from normexp.errors import UserError
from normexp.evaluation import lens_file
from normexp.runs.folder import RunFolder
from normexp.runs.lock import locked
from normexp.runs.record import LensRecord
from normexp.runs.runtime import Runtime
from normexp.runs.source import WEIGHTS, targets
from normexp.runs.spec import RunSpec, Settings
from normexp.settings import EVALUATE
from normexp.sweep.fork import child_class
from normexp.sweep.pool import Pool, Task
from normexp.sweep.question import plan_here
from normexp.sweep.scheduler import carry_out

if TYPE_CHECKING:  # torch takes seconds to import, and only a lens that is made needs it
    from normexp.evaluation.lens import Lens
    from normexp.runs.result import Environment

Row = Settings
MakeLens = Callable[[], "tuple[Lens, Environment]"]

AXES = ("cost", "contrast", "statistics", "noise", "layers")
OF_WEIGHTS = ("statistics", "layers", "contrast")
"""The axes of a network that no run of ours has trained."""
OWN = [setting.key for setting in EVALUATE]
# A run has its own cache, and nothing is trained.
OF_A_TRAINING = {"cache_dir": "-", "log_every": 1, "checkpoint_seconds": 1, "reference": False}


def main() -> int:
    """Look at the runs, or at the network, that the arguments name. Returns the exit code."""
    of_network = [argument for argument in sys.argv[1:] if is_of_network(argument, OWN)]
    sys.argv = [argument for argument in sys.argv if argument not in of_network]

    @composed("evaluate")
    def task(cfg: DictConfig) -> None:
        settings = checked_settings(cfg, "evaluate")
        if of_network:
            evaluate_network(settings, of_network)
        else:
            evaluate_runs(settings)

    return task()


def evaluate_network(settings: Settings, of_network: Sequence[str]) -> None:
    """Show what is found of a network that the settings `of_network`, as for a training, make."""
    if settings["run"] or settings["study"]:
        raise UserError(f"{of_network[0]}: a run has its own settings; leave them out, or run=")
    spec, runtime = spec_of(of_network, settings["runtime"])
    folder = RunFolder(Path(runtime.outputs).expanduser() / "lens" / spec.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    asked = axes_of(settings)
    sizes = sorted({*settings["statistics"]["batch_sizes"], spec.batch_size})
    asked = {**asked, "statistics": {**asked["statistics"], "batch_sizes": sizes}}
    asked["weights"] = spec.source.get(WEIGHTS, spec.model.weights or "")
    make = partial(lens_on_network, spec, runtime, **asked["common"])
    rows = evaluate(folder, asked, make, OF_WEIGHTS)
    print(tables(rows))
    print(f"\nevery number: {folder.lens_table}\n")
    tell_diagnosis(rows, spec)


def evaluate_runs(settings: Settings) -> None:
    """Look at the runs that the settings name, and show what was found."""
    asked = axes_of(settings)
    runtime = Runtime.from_settings({**settings["runtime"], **OF_A_TRAINING}, {"study": None})
    outputs = Path(runtime.outputs).expanduser()
    entries = finished(named(settings["run"], settings["study"], outputs))
    if len(entries) == 1:
        show(entries[0].folder, asked, runtime, settings["trust"])
        return
    failed = evaluate_each([entry.folder for entry in entries], asked, runtime, settings["trust"])
    records = {e.folder.name: e.folder.lens() for e in entries if e.folder not in failed}
    found = {name: record.rows for name, record in records.items() if record}
    if found:
        from normexp.analysis.lens.picture import picture

        runs = dict(zip(short_names(found), found.values(), strict=True))
        picture(runs, outputs / "lens.png")
        print(f"{comparison(runs)}\n\naccuracy against contrast: {outputs / 'lens.png'}")
    if failed:
        raise UserError(f"{len(failed)} of {len(entries)} runs failed; see above")


def axes_of(settings: Settings) -> Settings:
    """Return the settings by axis, those for all axes under `common`."""
    common = {key: settings[key] for key in ("seed", "images")}
    layers = {"images": settings["statistics"]["precise_images"]}
    return {"common": common, **{axis: {**settings, "layers": layers}[axis] for axis in AXES}}


def show(folder: RunFolder, asked: Settings, runtime: Runtime, trust: bool) -> None:
    """Print what is found of a finished run."""
    asked = {**asked, "weights": lens_file.digest_of_weights(folder)}
    make = partial(lens_on, folder, runtime, **asked["common"], trust=trust)
    rows = evaluate(folder, asked, make, AXES)
    print(tables(rows))
    print(f"\nevery number: {folder.lens_table}\n")
    tell_diagnosis(rows, folder.record().spec)


def tell_diagnosis(rows: Sequence[Row], spec: RunSpec) -> None:
    """Print what the rows say of a network that was trained with these settings."""
    layers = {target.rpartition(".")[2] for target in targets(spec.settings)}
    for line in diagnosis(rows, spec.batch_size, layers):
        print(fill(line, WIDTH, break_on_hyphens=False))


def evaluate(folder: RunFolder, asked: Settings, make: MakeLens, axes: Sequence[str]) -> list[Row]:
    """Measure what `lens.json` does not have yet, axis by axis, and return all rows."""
    with locked(folder.path):
        for line in folder.mend():
            print(line, file=sys.stderr)
        record = folder.lens()
        rows = lens_file.still_good(record, asked)
        # An axis that stands here counts as measured, also where it has no rows.
        seconds = {a: s for a, s in record.seconds.items() if a in rows} if record else {}
        if missing := [axis for axis in axes if axis not in rows]:
            look(folder, asked, make, rows, seconds, missing)
        else:
            print(f"{folder.name} is evaluated already")
    return [row for axis in axes for row in rows.get(axis, ())]


def look(
    folder: RunFolder,
    asked: Settings,
    make: MakeLens,
    rows: dict[str, list[Row]],
    seconds: dict[str, float],
    missing: Sequence[str],
) -> None:
    """Add the rows of the `missing` axes to `rows`; after each axis all are written."""
    # torch takes seconds to import, and a run that is evaluated already needs none of it.
    from tqdm import tqdm

    from normexp.evaluation.lens_curves import write_curves

    lens, environment = make()
    tasks = {axis: lens.tasks(axis, asked[axis]) for axis in missing}
    number = sum(map(len, tasks.values()))
    with tqdm(total=number, desc=folder.name, disable=None, leave=False) as bar:
        for axis in missing:
            began = time.monotonic()
            found: list[Row] = []
            for task in tasks[axis]:
                found += task()
                bar.update()
            rows[axis] = found
            seconds[axis] = time.monotonic() - began
            every = [row for each in AXES for row in rows.get(each, [])]
            lens_file.write(folder, LensRecord(asked, environment, tuple(every), seconds))
    write_curves(folder, every)


def evaluate_each(
    folders: Sequence[RunFolder], asked: Settings, runtime: Runtime, trust: bool
) -> set[RunFolder]:
    """Evaluate each run in a process of its own, several at once; return those that failed."""
    from tqdm import tqdm

    begin = child_class([folder.record().spec.settings for folder in folders])
    plan = plan_here(len(folders), len(folders), runtime, begin)
    by_name = {folder.name: folder for folder in folders}
    if plan.threads is not None:
        runtime = replace(runtime, threads=plan.threads)
    given = {"asked": asked, "runtime": asdict(runtime), "trust": trust}
    failed: set[RunFolder] = set()

    def start(folder: RunFolder) -> None:
        task = Task("evaluate", {"folder": str(folder.path), **given})
        pool.start(folder.name, task, folder.lens_console)

    def note(name: str, code: int, said: str) -> None:
        bar.update()
        for line in said.splitlines():
            if line.startswith("trust=true: "):
                tqdm.write(line, file=sys.stderr)
        if code:
            failed.add(by_name[name])
            lines = [*said.split("normexp: ")[-1].splitlines(), f"exit code {code}"]
            tqdm.write(f"{name}: {lines[0].removeprefix(f'{name}: ')}", file=sys.stderr)

    bar = tqdm(total=len(folders), unit=" runs", disable=None, leave=False, smoothing=0)
    with bar, Pool(plan.slots, begin) as pool:
        carry_out(folders, pool, start, note)
    return failed
