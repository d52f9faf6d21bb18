"""The machine's ceilings in bfloat16, and the share of them that a training step reaches.

- matrix: the most GFLOP/s of a square matrix product
- convolution: the most GFLOP/s of torch's 3×3 convolution, forward and both gradients, over the
  widths and maps of networks for 32×32 images; the network's multiply-adds at that speed are its
  limit
- own shapes: the network's convolutions one by one and nothing else, by torch

Winograd's algorithm (`normexp/kernels/winograd.cpp`) needs fewer products than are counted here, so
a step may do more than this limit.

All take turns within each round with the training step; medians.

usage: scripts/bench limit [rounds=7] [key=value settings of normexp train]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bench_train import composed, machine
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from normexp.engine.fit import Training, training_step

SQUARES = (1024, 2048)
WIDTHS_AND_MAPS = ((64, 16), (128, 8), (128, 16), (256, 8))


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "7"))
    training: Training = composed([f"{key}={value}" for key, value in settings.items()])
    batch_size = training.loader.batch_size
    own = convolutions(training)
    tried: dict[str, tuple[float, Callable[[], Any]]] = {
        **{f"matrix {n}": (2.0 * n**3, matrix(n)) for n in SQUARES},
        **{
            f"convolution {width}, {size}×{size}": convolution(batch_size, width, width, size)
            for width, size in WIDTHS_AND_MAPS
        },
        "own shapes": (sum(f for f, _ in own), lambda: [work() for _, work in own]),
        "training step": (sum(f for f, _ in own), step(training)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(rounds + 1):
        for name, (_, work) in tried.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    speeds = {name: flop / median(seconds[name][1:]) for name, (flop, _) in tried.items()}
    print(f"{machine()}, {torch.get_num_threads()} threads, batch size {batch_size}")
    for name, speed in speeds.items():
        print(f"  {name:28} {speed / 1e9:7.0f} GFLOP/s")
    limit = max(speed for name, speed in speeds.items() if name.startswith("convolution"))
    flop_per_image = tried["own shapes"][0] / batch_size
    reached = speeds["training step"]
    record = {
        "images_per_second": reached / flop_per_image,
        "limit_images_per_second": limit / flop_per_image,
        "share_of_limit": reached / limit,
        "share_of_own_shapes": reached / speeds["own shapes"],
    }
    for name, value in record.items():
        print(f"  {name.replace('_', ' '):28} {value:9.2f}")
    out = Path("outputs/bench/limit.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": machine(), "flop_per_second": speeds, **record}))
    print(out)


def matrix(size: int) -> Callable[[], Any]:
    a, b = (torch.randn(size, size).bfloat16() for _ in range(2))
    return lambda: a @ b


def convolution(
    batch_size: int, num_in: int, num_out: int, size: int
) -> tuple[float, Callable[[], Any]]:
    """Floating-point operations and the work: a 3×3 convolution and its two gradients."""
    x, dy = (
        torch.randn(batch_size, channels, size, size).bfloat16().to(memory_format=LAYOUT)
        for channels in (num_in, num_out)
    )
    weight = torch.randn(num_out, num_in, 3, 3).bfloat16().to(memory_format=LAYOUT)
    has_input_gradient = num_in > 3  # the images need none

    def work() -> list[Tensor]:
        results = [nn.functional.conv2d(x, weight, padding=1)]
        if has_input_gradient:
            results.append(conv2d_input(x.shape, weight, dy, padding=1))
        return [*results, conv2d_weight(x, weight.shape, dy, padding=1)]

    products = 2 + has_input_gradient
    return 2.0 * 9 * num_in * num_out * size**2 * batch_size * products, work


LAYOUT = torch.channels_last


def convolutions(training: Training) -> list[tuple[float, Callable[[], Any]]]:
    """Those of the network."""
    shapes: list[tuple[int, int, int]] = []
    handles = [
        module.register_forward_hook(
            lambda m, _, y: shapes.append((m.in_channels, m.out_channels, y.shape[-1]))
        )
        for module in training.state.network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        training.state.network.eval()(torch.zeros(1, 3, 32, 32))
    for handle in handles:
        handle.remove()
    return [convolution(training.loader.batch_size, *shape) for shape in shapes]


def step(training: Training) -> Callable[[], Any]:
    epoch = training.loader.epoch(0)
    training.state.network.train()

    def work() -> None:
        training.state.step = 0
        training_step(training.state, *epoch.batch(0), training.recipe)

    return work


main()
