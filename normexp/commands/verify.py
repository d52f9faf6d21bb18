"""`normexp verify`: trains runs that normexp ships again, and compares."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hydra
from omegaconf import DictConfig

from normexp import build
from normexp.analysis.verified import Compared, Outcome, compare, without_verdict
from normexp.commands import train
from normexp.commands.composed import composed
from normexp.commands.quoting import quoted
from normexp.commands.report import checked_settings
from normexp.errors import UserError, suggestion
from normexp.runs import reference
from normexp.runs.folder import RunFolder
from normexp.runs.reference import Row
from normexp.runs.result import RunResult
from normexp.runs.runtime import Runtime
from normexp.runs.spec import NUMERICS, DataSpec, RunSpec
from normexp.runs.trimmed import trimmed_result
from normexp.settings import SHIPPED

OF_A_TRAINING = {"jobs": 1, "log_every": 20, "checkpoint_seconds": 600, "reference": False}
"""Settings of a training that make no difference here."""
Train = Callable[[Row], tuple[RunSpec, RunResult]]


def main() -> int:
    """Verify the rows that the arguments name. Returns the exit code."""
    of_data = [argument for argument in sys.argv[1:] if argument.startswith(("data=", "data."))]
    sys.argv = [argument for argument in sys.argv if argument not in of_data]

    @composed("verify")
    def task(cfg: DictConfig) -> None:
        settings = checked_settings(cfg, "verify")
        every = reference.rows()
        rows = chosen(every, settings["row"], settings["rows"])
        data = images(quoted(of_data), settings["runtime"]["cache_dir"]) if of_data else None
        if data is None and any(needs_images(row) for row in rows):
            raise UserError(
                "the images of the runs are needed: data=images data.root=<their folder>, or "
                "data=cifar10 for a comparison without a verdict"
            )
        lost = verify(rows, every, lambda row: again(row, data, settings["runtime"]))
        if lost:
            raise UserError(
                f"{len(lost)} of {len(rows)} runs differ from what is shipped, also when trained a "
                f"second time: {', '.join(lost)}"
            )

    return task()


def chosen(every: Sequence[Row], name: str | None, number: int) -> list[Row]:
    """Return the row of this name, or so many drawn by chance; raises UserError without one."""
    known = {row.name: row for row in every if row.record.spec.numerics == NUMERICS}
    if not known:
        raise UserError(f"normexp ships no run of numerics {NUMERICS}")
    if name is None:
        return random.sample([*known.values()], min(number, len(known)))
    if name not in known:
        near = suggestion(name, known) if len(known) < 20 else f"normexp runs study={SHIPPED}"
        raise UserError(f"row={name}: normexp ships no such run of numerics {NUMERICS}; {near}")
    return [known[name]]


def images(typed: Sequence[str], cache_dir: str) -> DataSpec:
    """Return the images that the settings `typed` name, which are those of `normexp train`."""
    first = [] if any(each.startswith("data=") for each in typed) else ["data=images"]
    cache = quoted([f"runtime.cache_dir={cache_dir}"])
    spec, _ = build.run_spec(hydra.compose("train", overrides=[*first, *typed, *cache]))
    return spec.data


def needs_images(row: Row) -> bool:
    """Whether a run was trained on images that lie in a folder."""
    return "root" in row.record.spec.data.source


def again(row: Row, data: DataSpec | None, runtime: Mapping[str, Any]) -> tuple[RunSpec, RunResult]:
    """Train a run once more in a temporary folder, on `data` where it needs images."""
    of = row.record.spec.data
    if data is None or not needs_images(row):
        source = {**of.source, "cache_dir": runtime["cache_dir"]}
        of = replace(of, source=source)
    else:
        keys = ("name", "source", "root", "convert", "resize")
        of = replace(of, **{key: getattr(data, key) for key in keys})
    spec = replace(row.record.spec, data=of)
    threads = runtime["threads"] or row.result.environment.threads
    with TemporaryDirectory(prefix="normexp-verify-") as folder:
        given = {**OF_A_TRAINING, **runtime, "threads": threads, "outputs": folder}
        asked = Runtime.from_settings(given, {"study": None})
        result = train.train(spec, asked, RunFolder.of(Path(folder), spec), row.record.command)
    return spec, trimmed_result(result)


def verify(rows: Sequence[Row], every: Sequence[Row], train_again: Train) -> list[str]:
    """Train and compare the rows; return the names of those that are outside twice."""
    lost = []
    for i, row in enumerate(rows):
        seconds = row.result.timing.seconds
        print(f"{i + 1} of {len(rows)}: {row.name}, which took {seconds:.0f} s", file=sys.stderr)
        found = compared(row, every, *train_again(row))
        print(f"{row.name}: {found.words}", flush=True)
        if found.outcome is Outcome.OUTSIDE:
            found = compared(row, every, *train_again(row))
            print(f"{row.name}, a second time: {found.words}", flush=True)
            lost += [row.name] * (found.outcome is Outcome.OUTSIDE)
    return lost


def compared(row: Row, every: Sequence[Row], spec: RunSpec, result: RunResult) -> Compared:
    """Compare a row with the run that was trained again, by `spec`."""
    then, now = row.result.test, result.test
    if spec.name != row.name or (then and now and then.fingerprint != now.fingerprint):
        return without_verdict(row.result, result)
    cell = row.record.spec.cell_name
    others = [
        100 * each.result.test.accuracy if each.result.test else None
        for each in every
        if each.name != row.name and each.record.spec.cell_name == cell
    ]
    return compare(row.result, result, others)
