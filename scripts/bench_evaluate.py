"""The processor time of the evaluation at a run's end and of the lens, here and in another tree.

They take turns; each is a process with one thread. `other` is a checkout to compare with.

usage: scripts/bench evaluate [rounds=3] [images=500] [other=FOLDER] [key=value of normexp train]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

MEASURE = """
import json, sys, time
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from normexp import build
from normexp.evaluation.lens import Lens
from normexp.evaluation.modes import mode_gap
from normexp.evaluation.subject import Subject

torch.set_num_threads(1)
images, *overrides = sys.argv[1:]
with initialize_config_dir(build.conf_dir(), version_base="1.3"):
    training, _ = build.training(*build.run_spec(compose("train", overrides)))
network, evaluator = training.state.network.eval(), training.evaluator
test = training.data.test[: int(images)]
evaluator.score(network, test[:50])
seconds = {}

def measured(name, work):
    began = time.process_time()
    work()
    seconds[name] = time.process_time() - began

def end_of_run():
    evaluator.score(network, test)
    evaluator.contrast_accuracy(network, test)
    mode_gap(evaluator, network, test, training.loader.batch_size)

measured("end of run", end_of_run)
asked = OmegaConf.to_container(OmegaConf.load(f"{build.conf_dir()}/evaluate.yaml"))
asked["statistics"]["precise_images"] = int(images)
asked["noise"]["images"] = 1
subject = Subject(network, test, evaluator.standardise, evaluator.precision, 0)
lens = Lens(subject, training.loader, lambda: None)
for axis in ("contrast", "statistics", "noise"):
    measured(axis, lambda: [task() for task in lens.tasks(axis, asked[axis])])
print(json.dumps(seconds))
"""


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds, images = int(settings.pop("rounds", "3")), settings.pop("images", "500")
    trees = {"here": str(Path(__file__).parents[1])} | (
        {"other": settings.pop("other")} if "other" in settings else {}
    )
    given = {"data": "generated", "precision": "fp32"} | settings
    overrides = [f"{key}={value}" for key, value in given.items()]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            done = subprocess.run(
                [sys.executable, "-P", "-c", MEASURE, images, *overrides],
                env={**os.environ, "PYTHONPATH": tree},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[name].append(json.loads(done.stdout))
    print(f"{' '.join(overrides)}: processor seconds for {images} images, median of {rounds}")
    print(f"{'':<12}{''.join(f'{name:>8}' for name in found)}")
    for part in found["here"][0]:
        medians = [median(each[part] for each in rows) for rows in found.values()]
        print(f"{part:<12}{''.join(f'{seconds:8.2f}' for seconds in medians)}")
    out = Path("outputs/bench/evaluate.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"settings": overrides, "images": images, "seconds": found}))
    print(out)


main()
