"""Images a second in training: ours, the classic loop, the same tuned, and Lightning.

All train the same network on the same images with the same augmentation and optimizer. Each is a
process of its own that trains when it is its turn; within a round all take their turns, and a
ratio is the median over rounds of the ratio within one round.

- ours bf16, ours fp32: the tool's own training step, one process with all cores
- ours sweep: one process of one thread for each core, as a sweep trains; their sum
- classic: DataLoader with 2 workers, PIL crop and flip, float32, as published tutorials have it
- tuned: the same with bf16 autocast, channels-last, fused SGD, and the numbers of workers and of
  threads that were fastest in a trial before
- lightning bf16, lightning fp32: its trainer, no workers and nothing logged; left out where it is
  not installed

Where the processor has no instructions for bf16 all is in fp32, as `precision=auto` has it.

usage: scripts/bench train [rounds=5] [batch_sizes=4,32,128,512] [key=value settings of train]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

SECONDS = 2.5
"""A turn takes so long, after as many steps as a loader's workers may have prepared before."""
PREPARED = 5
CORES = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count() or 1


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "5"))
    batch_sizes = [int(b) for b in settings.pop("batch_sizes", "4,32,128,512").split(",")]
    overrides = [f"{key}={value}" for key, value in settings.items()]
    table = {}
    for batch_size in batch_sizes:
        table[f"b{batch_size}"] = row = compare(rounds, [*overrides, f"batch_size={batch_size}"])
        print(f"\nbatch size {batch_size}" + f", {' '.join(overrides)}" * bool(overrides))
        for name, rate in row["images_per_second"].items():
            print(f"  {name:34} {rate:7.0f} images/s")
        for name, ratio in row["ratios"].items():
            print(f"  {name:42} {ratio:5.2f}", flush=True)
    out = Path("outputs/bench") / ("-".join(["train", *settings.values()]) + ".json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "rounds": rounds, "settings": overrides, "batch_sizes": table}
    out.write_text(json.dumps(record, indent=1))
    print(f"\n{record['machine']}\n{out}")


def compare(rounds: int, overrides: list[str]) -> dict[str, dict[str, float]]:
    """Median images a second of each, and the ratios of those that are compared."""
    trial = {
        f"tuned, {workers} workers, {threads} threads": [["tuned", str(threads), str(workers)]]
        for workers, threads in product((0, 1, 2), range(1, CORES + 1))
    }
    rates = take_turns(trial, 2, overrides)
    tuned = max(rates, key=lambda name: median(rates[name]))
    all_cores, auto = str(CORES), precisions()[0]
    sweep, best = f"ours sweep {auto}, {CORES} processes", f"{tuned}, {auto}"
    contenders = {
        **{f"ours {p}": [["ours", all_cores, p]] for p in precisions()},
        sweep: [["ours", "1", auto]] * CORES,
        "classic fp32": [["classic", all_cores, "2"]],
        best: trial[tuned],
    }
    pairs = [
        *((f"ours {p}", "classic fp32") for p in precisions()),
        *((f"ours {auto}", best), (sweep, "classic fp32"), (sweep, best)),
    ]
    if find_spec("lightning"):
        for p in precisions():
            name, theirs = f"lightning {p}", {"bf16": "bf16-mixed", "fp32": "32-true"}[p]
            contenders[name] = [["lightning", all_cores, theirs]]
            pairs.append((f"ours {p}", name))
    else:
        print("lightning is not installed, and left out")
    rates = take_turns(contenders, rounds, overrides)
    ratios = {
        f"{one} / {other}": median(a / b for a, b in zip(rates[one], rates[other], strict=True))
        for one, other in pairs
    }
    return {
        "images_per_second": {name: median(measured) for name, measured in rates.items()},
        "ratios": ratios,
    }


def precisions() -> list[str]:
    """What `precision=auto` is here, and then fp32 if that is another."""
    import torch

    from normexp.precision import has_bf16

    return ["bf16", "fp32"] if has_bf16(torch.device("cpu")) else ["fp32"]


def take_turns(
    contenders: dict[str, list[list[str]]], rounds: int, overrides: list[str]
) -> dict[str, list[float]]:
    """Images a second of each contender, one number a round; processes of one are added up."""
    started: dict[str, list[subprocess.Popen[str]]] = {
        name: [
            subprocess.Popen(
                [sys.executable, __file__, "--contender", *process, *overrides],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
            )
            for process in processes
        ]
        for name, processes in contenders.items()
    }
    everyone = [process for processes in started.values() for process in processes]
    for process in everyone:  # all have imported and made their data before the first turn
        process.stdout.readline()  # type: ignore[union-attr]
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, processes in started.items():
            for process in processes:
                print("go", file=process.stdin, flush=True)
            rate = sum(float(p.stdout.readline()) for p in processes if p.stdout)
            if number > 0:  # the first round warms up
                rates[name].append(rate)
    for process in everyone:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    return rates


class Pace:
    """Lets a contender train in its turns only, and tells its speed."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.wait("ready")

    def wait(self, message: str) -> None:
        print(message, flush=True)
        if not sys.stdin.readline():
            os._exit(0)  # whatever threads a trainer has
        self.steps = -PREPARED

    def step(self) -> None:
        self.steps += 1
        if self.steps == 0:
            self.began = time.perf_counter()
        elif self.steps > 0 and (seconds := time.perf_counter() - self.began) > SECONDS:
            self.wait(str(self.steps * self.batch_size / seconds))


def contend(kind: str, threads: int, how: str, overrides: list[str]) -> None:
    """Train for ever, at the parent's pace."""
    from normexp import environment
    from normexp.engine.step import training_step
    from normexp.kernels import compiled

    overrides = [*overrides, f"runtime.threads={threads}"]
    if kind == "ours":
        overrides = [*overrides, f"precision={how}"]
    else:  # what only ours has
        environment.keep_freed_memory = lambda: None
        compiled.library = lambda: None
    training = composed(overrides)
    batch_size = training.loader.batch_size
    network = training.state.network.train()
    if kind == "ours":
        pace, number = Pace(batch_size), 0
        while True:
            epoch = training.loader.epoch(number)
            for i in range(training.loader.batches_per_epoch):
                training.state.step = 0  # far from the schedule's end, however long it takes
                training_step(training.state, [epoch.batch(i)], training.recipe)
                pace.step()
            number += 1
    if kind == "lightning":
        train_with_lightning(network, loader(training, 0), how, batch_size)
    tuned = kind == "tuned"
    loop(network, loader(training, int(how)), tuned, batch_size)


def loop(network: Any, batches: Any, tuned: bool, batch_size: int) -> None:
    """The classic loop."""
    import torch
    from torch import nn

    layout = torch.channels_last if tuned else torch.contiguous_format
    network.to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), **OPTIMIZER, fused=tuned or None)
    criterion = nn.CrossEntropyLoss()
    is_bf16 = tuned and "bf16" in precisions()
    pace = Pace(batch_size)
    while True:
        running_loss = 0.0
        for images, labels in batches:
            images = images.to(memory_format=layout)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
                loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            pace.step()


def train_with_lightning(network: Any, batches: Any, precision: str, batch_size: int) -> None:
    import logging
    import warnings

    import lightning
    import torch
    from torch.nn import functional as F

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: Any) -> Any:
            return F.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), **OPTIMIZER)

    class Turns(lightning.Callback):  # type: ignore[misc]
        def on_train_start(self, *_: Any) -> None:
            self.pace = Pace(batch_size)

        def on_train_batch_end(self, *_: Any) -> None:
            self.pace.step()

    network.to(memory_format=torch.contiguous_format)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    lightning.Trainer(
        accelerator="cpu",
        precision=precision,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Turns()],
    ).fit(Module(), batches)


OPTIMIZER: dict[str, Any] = {"lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}


def loader(training: Any, workers: int) -> Any:
    """Torch's DataLoader over the training images, with torchvision's transforms of PIL images."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    pixels, labels = training.data.train.images.numpy(), training.data.train.labels.tolist()
    augmentation, standardise = training.loader.augmentation, training.loader.standardise
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=augmentation.crop, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(standardise.mean.flatten(), standardise.std.flatten()),
        ]
    )

    class Images(Dataset[Any]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> Any:
            return transform(Image.fromarray(pixels[index])), labels[index]

    return DataLoader(
        Images(),
        batch_size=training.loader.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def composed(overrides: list[str]) -> Any:
    """The tool's own training, on drawn images."""
    from hydra import compose, initialize_config_dir

    from normexp import build

    fixed = ["data=generated", "data.source.num_train=4000", "data.source.num_test=10"]
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        cfg = compose("train", [*fixed, *overrides])
    return build.training(*build.run_spec(cfg))[0]


def machine() -> str:
    import torch

    has = torch.cpu.get_capabilities()
    names = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "bf16")
    found = [name for name in names if has.get(name)]
    processor = f"{has.get('cpu_name', '?')} ({', '.join(found)})"
    return f"{CORES} cores of {processor}, torch {torch.__version__}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contender"]:
        contend(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    else:
        main()
