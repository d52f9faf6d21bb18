"""Checks normexp on a GPU and measures it there.

- steps: time of a training step, launched piece by piece and recorded; waits for the GPU in it
- norms: each norm recorded against the same steps launched piece by piece: equal to the bit?
- classic: images a second against a loop of PyTorch as it is usually written, in turns: its images
  on the GPU with augmentation there, or from DataLoader's workers, whichever is faster
- resume: a run that is stopped and goes on against one go: equal to the bit?
- sweep: 16 runs, 1, 4, 8 and 16 at once

usage: scripts/gpu_check [part ...] [data=images data.root=...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from normexp import build, shipped
from normexp.data.loader import Loader
from normexp.data.standardise import ByDataset
from normexp.engine.fit import Training
from normexp.engine.recorded import recorded
from normexp.engine.step import descend, seed_layers, training_step
from normexp.runs.folder import RunFolder

PARTS = ("steps", "norms", "classic", "resume", "sweep")
GENERATED = ["data=generated", "data.source.num_train=5000", "data.source.num_test=500"]
SECONDS = 1.0
OF_OTHERS = {"custom", "own"}  # norms that a user brings
DATA = [argument for argument in sys.argv[1:] if "=" in argument] or GENERATED


def main() -> None:
    asked = [argument for argument in sys.argv[1:] if "=" not in argument] or PARTS
    print(torch.cuda.get_device_name(), torch.__version__, os.cpu_count(), "cores", flush=True)
    for part in asked:
        began = time.monotonic()
        print(f"\n{part}", flush=True)
        try:
            globals()[part]()
        except Exception as error:  # the other parts cost device time too
            print(f"  FAILED: {type(error).__name__}: {error}")
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)


def made(*overrides: str) -> Training:
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        cfg = compose("train", overrides=[*GENERATED, *overrides])
    training, _ = build.training(*build.run_spec(cfg))
    training.state.network.train()
    return training


class Steps:
    """A training, step by step; `told` is why its steps are not recorded."""

    def __init__(self, training: Training, is_recorded: bool) -> None:
        self.training, self.told = training, ""
        state, recipe = training.state, training.recipe
        self.graph = (
            recorded(lambda batches: descend(state, batches, recipe), state, self.tell)
            if is_recorded
            else None
        )

    def tell(self, line: str) -> None:
        self.told = line

    def __call__(self, number: int) -> None:
        training, state = self.training, self.training.state
        for _ in range(number):
            at = state.step % training.recipe.total_steps
            seed_layers(training.loader.seed * 1_000_003 + at, state.totals.device)
            state.step = at  # from the start again, however long it takes
            training_step(state, training.batches(at), training.recipe, self.graph)

    def milliseconds(self) -> float:
        self(10)
        torch.cuda.synchronize()
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            self(50)
            torch.cuda.synchronize()
            count += 50
        return (time.perf_counter() - began) / count * 1e3


def steps() -> None:
    jitter = ["batch_size=128", "contrast=jitter"]
    for overrides in (
        *([f"norm={norm}", "batch_size=4"] for norm in ("batch", "instance", "both", "switchable")),
        *(["norm=batch", f"batch_size={b}"] for b in (32, 128, 512)),
        ["norm=batch", *jitter],
        ["norm=batch", "model=resnet20", "batch_size=128"],
    ):
        eager, graph = (Steps(made(*overrides), is_recorded) for is_recorded in (False, True))
        times = [each.milliseconds() for each in (eager, graph)]
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            graph(60)
            torch.cuda.set_sync_debug_mode("default")
        where = {f"{Path(w.filename).name}:{w.lineno}" for w in waits}
        rate = graph.training.images_per_step / times[1] * 1e3
        print(
            f"  {' '.join(overrides):40} eager {times[0]:.3f} ms, recorded {times[1]:.3f} ms, "
            f"{rate:.0f} images/s, waits in 60 steps: {len(waits)} {where or ''} {graph.told}",
            flush=True,
        )


def norms() -> None:
    """Precision fp32 and bf16 in turn, so that both are there."""
    unlike = []
    for number, norm in enumerate(sorted(set(shipped.choices("norm")) - OF_OTHERS)):
        precision = ("fp32", "bf16")[number % 2]
        model = "resnet20" if norm in ("fixup", "skipinit") else "cnn"
        overrides = [f"norm={norm}", f"model={model}", "batch_size=16", f"precision={precision}"]
        overrides += ["steps=200", "model.network.widths=[16,32,32,64,64,64]"][
            : 1 + (model == "cnn")
        ]
        try:
            first, second, third = (Steps(made(*overrides), r) for r in (False, True, True))
            for each in (first, second, third):
                each(40)
            again = same(second, third)
            as_launched = same(first, second)
            note = second.told
            finite = all(p.isfinite().all() for p in second.training.state.network.parameters())
        except Exception as error:
            again, as_launched, note, finite = (
                False,
                False,
                f"{type(error).__name__}: {error}",
                True,
            )
        if not (again and as_launched and finite) or note:
            unlike.append(norm)
            print(
                f"  {norm} {precision}: as launched {as_launched}, again {again}, {note}",
                flush=True,
            )
    print(f"  all others recorded, equal to steps launched piece by piece; {len(unlike)} are not")


def same(one: Steps, other: Steps) -> bool:
    pairs = zip(
        one.training.state.network.state_dict().values(),
        other.training.state.network.state_dict().values(),
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


def classic() -> None:
    for batch_size in (4, 128, 512):
        ours = partial(Steps(made(f"batch_size={batch_size}"), is_recorded=True), 1)
        loops = {"images on the GPU": on_the_gpu, "8 workers": of_workers, "no workers": no_workers}
        contenders: dict[str, Callable[[], None]] = {"ours": ours}
        for name, loop in loops.items():
            contenders[name] = Loop(made("norm=batch", f"batch_size={batch_size}"), loop)
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(4):
            for name, step in contenders.items():
                rate = images_per_second(step, batch_size)
                if turn:  # the first warms up
                    rates[name].append(rate)
        print(f"  b {batch_size}: " + ", ".join(f"{n} {median(r):.0f}" for n, r in rates.items()))
        best = max(loops, key=lambda name: median(rates[name]))
        ratio = median(a / b for a, b in zip(rates["ours"], rates[best], strict=True))
        print(f"  b {batch_size}: ours over the best, {best}: {ratio:.2f}", flush=True)


def images_per_second(step: Callable[[], None], batch_size: int) -> float:
    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        for _ in range(20):
            step()
        torch.cuda.synchronize()
        count += 20
    return count * batch_size / (time.perf_counter() - began)


class Loop:
    """The classic training loop, with bf16 autocast, channels-last and fused SGD, as ours has."""

    def __init__(self, training: Training, batches: Callable[[Training], Iterator[Any]]) -> None:
        network = training.state.network
        self.network = network
        self.batches = batches(training)
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=0.02,
            momentum=0.9,
            weight_decay=5e-4,
            nesterov=True,
            fused=True,
        )
        self.criterion, self.running_loss = nn.CrossEntropyLoss(), 0.0

    def __call__(self) -> None:
        images, labels = next(self.batches)
        images = images.to("cuda", memory_format=torch.channels_last, non_blocking=True)
        labels = labels.to("cuda", non_blocking=True)
        self.optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = self.criterion(self.network(images), labels)
        loss.backward()
        self.optimizer.step()
        self.running_loss += loss.item()


def on_the_gpu(training: Training) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images that lie on the GPU: standardised at once, cropped and flipped by batch."""
    data, size = training.data.train, training.loader.batch_size
    images = training.loader.standardise(data.images.permute(0, 3, 1, 2).float() / 255)
    padded = nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    pixels = torch.arange(32, device="cuda")
    while True:
        order = torch.randperm(len(images), device="cuda")
        for i in range(0, len(order) - size + 1, size):
            batch = order[i : i + size]
            rows, columns = torch.randint(0, 5, (2, size, 1), device="cuda")
            flips = torch.rand(size, 1, device="cuda") < 0.5
            columns = columns + torch.where(flips, 31 - pixels, pixels)
            chosen = batch[:, None, None], slice(None), (rows + pixels)[:, :, None]
            yield padded[*chosen, columns[:, None, :]].permute(0, 3, 1, 2), data.labels[batch]


def of_workers(training: Training, workers: int = 8) -> Iterator[Any]:
    from bench_train import loader

    data, given = training.data.to(torch.device("cpu")), training.loader
    of = given.standardise
    assert isinstance(of, ByDataset)
    standardise = ByDataset(of.mean.cpu(), of.std.cpu())
    moved = Loader(data.train, given.batch_size, given.seed, given.augmentation, standardise)
    on_cpu = replace(training, data=data, loader=moved)
    batches = loader(on_cpu, workers)
    while True:
        yield from batches


def no_workers(training: Training) -> Iterator[Any]:
    return of_workers(training, 0)


def train(outputs: Path, *overrides: str) -> str:
    command = [sys.executable, "-m", "normexp", "train", *DATA, f"runtime.outputs={outputs}"]
    done = subprocess.run([*command, *overrides], capture_output=True, text=True, check=True)
    return done.stdout


def resume() -> None:
    for norm in ("batch", "both", "group_noisy"):
        of = (f"norm={norm}", "batch_size=16", "precision=fp32")
        whole, first, second = (Steps(made(*of), is_recorded=True) for _ in range(3))
        whole(60)
        first(30)
        folder = RunFolder(Path(tempfile.mkdtemp()))
        first.training.state.save(folder, {})
        second.training.state.load(folder.checkpoint)
        resumed = Steps(second.training, is_recorded=True)
        resumed(30)
        print(
            f"  {norm}: stopped at step 30 and gone on to 60, the same bits: {same(whole, resumed)}"
        )


def sweep() -> None:
    for jobs in (1, 4, 8, 16):
        folder = Path(tempfile.mkdtemp())
        began = time.monotonic()
        seeds = ",".join(map(str, range(16)))
        of = (f"runtime.jobs={jobs}", "batch_size=32", "epochs=3", "precision=fp32")
        said = train(folder, "-m", f"seed={seeds}", "data.limit=5000", *of)
        seconds = time.monotonic() - began
        print(f"  {jobs} at once: {seconds:.1f} s for 16 runs", flush=True)
        if jobs == 4:
            print("    " + "\n    ".join(said.strip().splitlines()[-8:]))


if __name__ == "__main__":
    main()
