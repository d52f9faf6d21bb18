"""The time of a sweep of 24 cells by the processes launcher, over that of one after another.

The sweeps take turns, each in a folder of its own: Hydra's plain launcher, which trains all cells
in one process with a thread a core, and `hydra/launcher=processes` with as many jobs as cores.

usage: scripts/bench sweep [rounds=1] [cells=24] [key=value settings of normexp train]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

# The network of the shipped small studies. A cell takes eight seconds, a round six minutes on two
# cores.
CELLS = {
    "batch_size": "4",
    "epochs": "8",
    "model.network.widths": "[16,32,32,64,64,64]",
    "data": "generated",
    "data.source.num_train": "1000",
    "data.source.num_test": "200",
}
NORMS = ("batch", "instance", "both", "none")
LAUNCHERS = {
    "one after another": ["hydra/launcher=basic"],
    "processes": ["hydra/launcher=processes", f"runtime.jobs={os.cpu_count()}"],
}


def main() -> None:
    settings = CELLS | dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds, num_cells = int(settings.pop("rounds", "1")), int(settings.pop("cells", "24"))
    overrides = [f"{key}={value}" for key, value in settings.items()]
    seeds = ",".join(map(str, range(num_cells // len(NORMS))))
    grid = ["-m", f"norm={','.join(NORMS)}", f"seed={seeds}"]
    times: dict[str, list[float]] = {name: [] for name in LAUNCHERS}
    for turn in range(rounds):
        # The order alternates, so that a machine that slows down favours neither.
        for name in list(LAUNCHERS)[:: -1 if turn % 2 else 1]:
            times[name].append(seconds([*grid, *overrides, *LAUNCHERS[name]], num_cells))
            print(f"{name}: {times[name][-1]:.1f} s", flush=True)
    slow, fast = (median(measured) for measured in times.values())
    print(f"{num_cells} cells, {' '.join(overrides)}, {os.cpu_count()} cores, {rounds} rounds")
    print(f"processes over one after another: {fast / slow:.2f} ({fast:.1f} s / {slow:.1f} s)")
    out = Path("outputs/bench/sweep.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"settings": overrides, "cells": num_cells, "cores": os.cpu_count(), "seconds": times}
    out.write_text(json.dumps({**record, "ratio": fast / slow}, indent=1))
    print(out)


def seconds(arguments: list[str], num_cells: int) -> float:
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-P", "-m", "normexp", "train", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        taken = time.perf_counter() - began
        finished = len(list(Path(folder).glob("outputs/runs/*/result.json")))
        if done.returncode or finished != num_cells:
            raise SystemExit(f"{finished} of {num_cells} cells finished: {done.stderr[-2000:]}")
    return taken


main()
