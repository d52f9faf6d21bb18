"""`normexp child`: what a sweep has a process do, as a line of JSON on its standard input.

Standard input is a pipe whose other end nobody but the sweep holds; it ends however the sweep ends,
even by SIGKILL. The process then gets a SIGTERM, and so a run leaves a checkpoint.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread

from normexp import build
from normexp.commands import evaluate, train
from normexp.errors import UserError, one_line, show
from normexp.runs.folder import RunFolder
from normexp.runs.plain import from_plain
from normexp.runs.runtime import Runtime, folders_of
from normexp.runs.source import own_source
from normexp.runs.spec import RunSpec, Settings


def main() -> int:
    task = json.loads(sys.stdin.readline())
    os.environ.pop("SLURM_JOB_ID", None)  # the sweep is requeued, not its runs
    os.environ["NORMEXP_TRACEBACK"] = "1"  # its log is where to look
    stop_with_parent()
    try:
        return TASKS[task["do"]](**task["given"]) or 0
    except Exception as error:
        show(error, one_line(error, folders_of(task["given"].get("runtime", {}))))
        return 1


def stop_with_parent() -> None:
    """Watch standard input, from now on and beside everything else."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="watch for the sweep's end", daemon=True).start()


def train_spec(spec: Settings, runtime: Settings, command: str) -> None:
    asked = from_plain(RunSpec, spec)
    for part, digest in own_source(asked.settings).items():
        if digest != asked.source.get(part):
            raise UserError(f"{part} has changed since the sweep began; type the command again")
    if "cache_dir" not in runtime:
        runtime = {**runtime, "cache_dir": build.cache_dir()}
    train.carry_out(asked, from_plain(Runtime, runtime), command)


def evaluate_run(folder: str, asked: Settings, runtime: Settings, trust: bool) -> None:
    evaluate.show(RunFolder(Path(folder)), asked, from_plain(Runtime, runtime), trust)


def check(cells: Sequence[Settings]) -> None:
    """Print a list of what is wrong with each cell, null for nothing."""
    from tqdm import tqdm

    shown = tqdm(cells, "checking", disable=None, leave=False, delay=0.3, unit=" cells")
    print(json.dumps([problem(**cell) for cell in shown]))


def gpus() -> None:
    """Print the free gigabytes of each GPU that torch can use, by CUDA_VISIBLE_DEVICES' name."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = visible.split(",") if visible else map(str, range(number))
    free = (torch.cuda.mem_get_info(i)[0] / 1e9 for i in range(number))
    print(json.dumps(dict(zip(names, free, strict=False))))


def problem(spec: Settings, runtime: Settings) -> str | None:
    """Return why a run cannot work, or None if it can."""
    try:
        build.training(from_plain(RunSpec, spec), from_plain(Runtime, runtime))
    except UserError as error:
        return one_line(error)
    except Exception as error:
        # A fault makes no cell impossible: where those are left out, the run is to fail of it.
        return None if runtime["skip_impossible"] else one_line(error)
    return None


TASKS: Mapping[str, Callable[..., int | None]] = {
    "train": train_spec,
    "evaluate": evaluate_run,
    "check": check,
    "gpus": gpus,
}
