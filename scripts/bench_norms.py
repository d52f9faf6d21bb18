"""The time of a training step with each norm, over that with batch norm.

All norms take turns within each round; a row is the median over rounds of the ratio to the batch
norm of the same round. The step is the tool's own: augmentation, forward, backward, optimizer.

usage: scripts/bench norms [rounds=15] [key=value settings of normexp train]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

from hydra import compose, initialize_config_dir

from normexp import build
from normexp.engine.fit import Training
from normexp.engine.step import training_step

BATCH_SIZES = (4, 32)
SECONDS_A_TURN = 0.2
LEFT_OUT = ("custom", "own", "fixup", "skipinit")
"""The user's own; the CNN has no norm of its own and no residual branches."""


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "15"))
    overrides = [f"{key}={value}" for key, value in settings.items()]
    names = [path.stem for path in sorted(Path(build.conf_dir(), "norm").glob("*.yaml"))]
    names = ["batch", *(name for name in names if name not in ("batch", *LEFT_OUT))]
    table: dict[str, dict[str, float]] = {name: {} for name in names}
    machine = None
    for batch_size in BATCH_SIZES:
        trainings = {name: training(name, batch_size, overrides) for name in names}
        machine = asdict(trainings["batch"].environment)
        steps = max(3, round(SECONDS_A_TURN / turn(trainings["batch"], 5)))
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds + 1):
            for name, one in trainings.items():
                times[name].append(turn(one, steps))
        for name, measured in times.items():
            pairs = zip(measured[1:], times["batch"][1:], strict=True)  # the first round warms up
            table[name][f"ratio b{batch_size}"] = median(own / batch for own, batch in pairs)
            table[name][f"ms b{batch_size}"] = 1e3 * median(measured[1:])
    print(f"{machine}, {rounds} rounds")
    columns = list(table["batch"])
    print("  ".join(["norm".ljust(18), *(column.rjust(10) for column in columns)]))
    for name, row in table.items():
        print("  ".join([name.ljust(18), *(f"{row[column]:10.2f}" for column in columns)]))
    out = Path("outputs/bench/norms.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine, "rounds": rounds, "settings": overrides, "norms": table}
    out.write_text(json.dumps(record, indent=1))
    print(out)


def training(norm: str, batch_size: int, overrides: list[str]) -> Training:
    fixed = ["data=generated", "data.source.num_train=1000", "data.source.num_test=10"]
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        cfg = compose("train", [*fixed, f"norm={norm}", f"batch_size={batch_size}", *overrides])
    return build.training(*build.run_spec(cfg))[0]


def turn(one: Training, steps: int) -> float:
    """Seconds a step."""
    epoch = one.loader.epoch(0)
    one.state.network.train()
    began = time.perf_counter()
    for i in range(steps):
        one.state.step = 0  # the schedule stays where it is, so no norm wanders off
        training_step(one.state, [epoch.batch(i % one.loader.batches_per_epoch)], one.recipe)
    one.state.totals.sum().item()
    return (time.perf_counter() - began) / steps


main()
