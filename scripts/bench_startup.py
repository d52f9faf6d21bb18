"""The time to the first training step, and that of importing torch.

`typed` is a command, from typing it. `cell` is one more cell of a sweep, which is a fork of a
process that has imported torch; it has one thread. They take turns.

usage: scripts/bench startup [rounds=7] [key=value settings of normexp train]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

PYTHON = [sys.executable, "-P"]
IMPORT_TORCH = [*PYTHON, "-c", "import torch"]
# Ends once its first step is made.
FIRST_STEP = """
import os
from normexp import cli
from normexp.engine import fit

step = fit.training_step

def first(*arguments):
    step(*arguments)
    os._exit(0)

fit.training_step = first
"""
TYPED = [*PYTHON, "-c", FIRST_STEP + "cli.main()", "train"]
# Begins cells as a sweep does, and prints how long each took.
CELLS = (
    FIRST_STEP
    + """
import sys, time
from pathlib import Path

from hydra import compose, initialize_config_dir

from hydra_plugins.normexp_launcher.launcher import keep_images
from normexp import build
from normexp.runs.folder import RunFolder
from normexp.sweep.cell import Cell
from normexp.sweep.fork import ForkedChild, import_training, share_images

with initialize_config_dir(build.conf_dir(), version_base="1.3"):
    spec, runtime = build.run_spec(compose("train", sys.argv[1:]))
cell = Cell("", spec, runtime, RunFolder.of(Path("outputs"), spec), ())
cell.take()  # as a sweep does, which reads the runs that ship
import_training([spec.settings])
share_images([spec.settings], keep_images)
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    child = ForkedChild(cell.task(1), Path("console.log"), {})
    while child.exit_code() is None:
        time.sleep(0.001)
    print(time.perf_counter() - began if child.exit_code() == 0 else child.said(), flush=True)
    child.end()
"""
)


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "7"))
    overrides = [f"{key}={value}" for key, value in ({"data": "generated"} | settings).items()]
    times: dict[str, list[float]] = {"import torch": [], "typed": [], "cell": []}
    with TemporaryDirectory() as folder:
        cells = subprocess.Popen(
            [*PYTHON, "-c", CELLS, *overrides],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert cells.stdin
        assert cells.stdout
        cells.stdout.readline()
        for _ in range(rounds + 1):
            times["import torch"].append(seconds(IMPORT_TORCH, folder))
            times["typed"].append(seconds([*TYPED, *overrides], folder))
            print(file=cells.stdin, flush=True)
            times["cell"].append(float(cells.stdout.readline()))
            shutil.rmtree(Path(folder) / "outputs")
        cells.communicate()
    # The first round fills the system's cache of files.
    table = {name: median(measured[1:]) for name, measured in times.items()}
    print(f"{' '.join(overrides)}: seconds to the first step, {rounds} rounds: median, least")
    for name, value in table.items():
        print(f"{name:<13} {value:5.2f} {min(times[name][1:]):5.2f}")
    out = Path("outputs/bench/startup.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"settings": overrides, "rounds": rounds, "seconds": table, "all": times}
    out.write_text(json.dumps(record, indent=1))
    print(out)


def seconds(command: list[str], folder: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command[-1]}: {done.stdout}{done.stderr}")
    shutil.rmtree(Path(folder) / "outputs", ignore_errors=True)
    return taken


main()
