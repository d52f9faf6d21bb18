"""The time from typing a command to its first training step, over that of importing torch.

Both are processes of their own and take turns. A `cell` is the command that a sweep starts for each
of its cells; it has one thread.

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
CELL = [*PYTHON, "-c", FIRST_STEP + "from normexp.sweep.child import stop_with_parent\n"]
CELL[-1] += "stop_with_parent(); cli.main()"
CELL += ["train", "hydra.mode=RUN", "runtime.threads=1"]


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "7"))
    overrides = [f"{key}={value}" for key, value in ({"data": "generated"} | settings).items()]
    commands = {
        "import torch": IMPORT_TORCH,
        "typed": [*TYPED, *overrides],
        "cell": [*CELL, *overrides],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with TemporaryDirectory() as folder:
        for _ in range(rounds + 1):
            for name, command in commands.items():
                times[name].append(seconds(command, folder))
    # The first round fills the system's cache of files.
    table = {name: median(measured[1:]) for name, measured in times.items()}
    beyond = [own - torch for own, torch in zip(times["cell"], times["import torch"], strict=True)]
    table["cell beyond import torch"] = median(beyond[1:])
    print(f"{' '.join(overrides)}: median seconds to the first step, {rounds} rounds")
    for name, value in table.items():
        print(f"{name:<25} {value:5.2f}")
    out = Path("outputs/bench/startup.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"settings": overrides, "rounds": rounds, "seconds": table, "all": times}
    out.write_text(json.dumps(record, indent=1))
    print(out)


def seconds(command: list[str], folder: str) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    code = process.wait()
    taken = time.perf_counter() - began
    told = process.communicate()[0].decode()
    if code:
        raise SystemExit(f"{command[-1]}: {told}")
    shutil.rmtree(Path(folder) / "outputs", ignore_errors=True)
    return taken


main()
