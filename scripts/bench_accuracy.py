"""The test accuracy of a recipe, and the minutes from typing its command until it is known.

`end` is that of the whole command, which also looks at five severities of reduced contrast.

usage: scripts/bench accuracy [seeds=0,1] [key=value settings of normexp train]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

# Tells when the test images have been looked at once, unchanged.
TRAIN = """
from normexp import cli
from normexp.evaluation.accuracy import Evaluator

severities = Evaluator.contrast_accuracy

def tested(*arguments):
    print("tested", flush=True)
    return severities(*arguments)

Evaluator.contrast_accuracy = tested
cli.main()
"""
COMMAND = [sys.executable, "-P", "-c", TRAIN, "train"]


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    seeds = settings.pop("seeds", "0,1").split(",")
    overrides = [f"{key}={value}" for key, value in ({"experiment": "fast"} | settings).items()]
    rows = []
    for seed in seeds:
        with TemporaryDirectory() as folder:
            minutes = timed([*overrides, f"seed={seed}", f"runtime.outputs={folder}"])
            [result] = Path(folder).glob("runs/*/result.json")
            test = json.loads(result.read_text())["test"]
        rows.append({"seed": seed, "accuracy": test["accuracy"], "minutes": minutes})
    print(f"\n{' '.join(overrides)}")
    print("seed  test accuracy  known after       end")
    for row in rows:
        known, end = (f"{row['minutes'][when]:6.2f} min" for when in ("tested", "end"))
        print(f"{row['seed']:<4}  {100 * row['accuracy']:11.1f} %  {known:>11}  {end:>8}")
    mean = sum(row["accuracy"] for row in rows) / len(rows)
    print(f"mean  {100 * mean:11.1f} %")
    out = Path("outputs/bench/accuracy.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"settings": overrides, "runs": rows}, indent=1))
    print(out)


def timed(overrides: list[str]) -> dict[str, float]:
    """Minutes until the test accuracy is known, and until the command ends."""
    began = time.perf_counter()
    command = subprocess.Popen([*COMMAND, *overrides], stdout=subprocess.PIPE, text=True)
    minutes = {}
    assert command.stdout
    for line in command.stdout:
        if line == "tested\n":
            minutes["tested"] = (time.perf_counter() - began) / 60
        else:
            print(line, end="", flush=True)
    if command.wait():
        raise SystemExit(command.returncode)
    return {**minutes, "end": (time.perf_counter() - began) / 60}


main()
