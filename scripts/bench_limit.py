"""The machine's ceilings in the precision of a training step, and the share that it reaches.

- matrix: the most GFLOP/s of a square matrix product
- convolution: the most GFLOP/s of torch's 3×3 convolution, forward and both gradients, over the
  widths and maps of networks for 32×32 images; the network's multiply-adds at that speed are its
  limit
- own shapes: the network's convolutions one by one and nothing else, by torch

Winograd's algorithm (`normexp/kernels/convolution.py`) needs fewer products than are counted here,
so a step may do more than its limit.

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

from normexp.engine.fit import Training
from normexp.engine.step import training_step

SQUARES = (1024, 2048)
WIDTHS_AND_MAPS = ((64, 16), (128, 8), (128, 16), (256, 8))


def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(settings.pop("rounds", "7"))
    training: Training = composed([f"{key}={value}" for key, value in settings.items()])
    batch_size = training.loader.batch_size
    dtype = torch.bfloat16 if training.recipe.precision.name == "bf16" else torch.float32
    own = convolutions(training, dtype)
    tried: dict[str, tuple[float, Callable[[], Any]]] = {
        **{f"matrix {n}": (2.0 * n**3, matrix(n, dtype)) for n in SQUARES},
        **{
            f"convolution {c}, {size}×{size}": convolution((batch_size, c, c, size), dtype)
            for c, size in WIDTHS_AND_MAPS
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
    print(f"{machine()}, {torch.get_num_threads()} threads, batch size {batch_size}, {dtype}")
    for name, speed in speeds.items():
        print(f"  {name:28} {speed / 1e9:7.0f} GFLOP/s")
    matrix_limit, limit = (
        max(speed for name, speed in speeds.items() if name.startswith(kind))
        for kind in ("matrix", "convolution")
    )
    flop_per_image = tried["own shapes"][0] / batch_size
    reached = speeds["training step"]
    record = {
        "images_per_second": reached / flop_per_image,
        "limit_images_per_second": limit / flop_per_image,
        "share_of_limit": reached / limit,
        "share_of_matrix_limit": reached / matrix_limit,
        "share_of_own_shapes": reached / speeds["own shapes"],
    }
    for name, value in record.items():
        print(f"  {name.replace('_', ' '):28} {value:9.2f}")
    out = Path("outputs/bench/limit.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    here = {"machine": machine(), "dtype": str(dtype)}
    out.write_text(json.dumps({**here, "flop_per_second": speeds, **record}))
    print(out)


def matrix(size: int, dtype: torch.dtype) -> Callable[[], Any]:
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return lambda: a @ b


def convolution(
    shape: tuple[int, int, int, int], dtype: torch.dtype
) -> tuple[float, Callable[[], Any]]:
    """Floating-point operations and the work: a 3×3 convolution and its two gradients.

    The shape is that of the batch, its channels, those of the answers, and a side of the maps.
    """
    batch_size, num_in, num_out, size = shape
    x, dy = (
        torch.randn(batch_size, channels, size, size).to(dtype, memory_format=LAYOUT)
        for channels in (num_in, num_out)
    )
    weight = torch.randn(num_out, num_in, 3, 3).to(dtype, memory_format=LAYOUT)
    has_input_gradient = num_in > 3  # the images need none

    def work() -> list[Tensor]:
        results = [nn.functional.conv2d(x, weight, padding=1)]
        if has_input_gradient:
            results.append(conv2d_input(x.shape, weight, dy, padding=1))  # type: ignore[no-untyped-call]
        of_weight = conv2d_weight(x, weight.shape, dy, padding=1)  # type: ignore[no-untyped-call]
        return [*results, of_weight]

    products = 2 + has_input_gradient
    return 2.0 * 9 * num_in * num_out * size**2 * batch_size * products, work


LAYOUT = torch.channels_last


def convolutions(training: Training, dtype: torch.dtype) -> list[tuple[float, Callable[[], Any]]]:
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
    return [convolution((training.loader.batch_size, *shape), dtype) for shape in shapes]


def step(training: Training) -> Callable[[], Any]:
    epoch = training.loader.epoch(0)
    training.state.network.train()

    def work() -> None:
        training.state.step = 0
        training_step(training.state, [epoch.batch(0)], training.recipe)

    return work


main()
