"""Evaluate a network with other batch statistics than its running ones, without changing it.

Such layers are, or hold, `torch.nn.BatchNorm2d`. The network stays in evaluation mode; within one
of the contexts below each such layer evaluates its input with other moments in the place of its
running ones. Moments are a pair (mean, variance) of tensors (C,), the variance biased.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from normexp.evaluation.parts import TINY, Moments, evaluate, evaluate_parts, moments_of_parts

# So many images go through the network together. Statistics are taken over parts of them, so that
# convolutions see the same shapes, and round the same way, whatever the size of a part. Maps of
# twice as many are beyond the 32 MiB that malloc keeps, and fresh pages cost as much as a norm.
CHUNK = 128


@dataclass(frozen=True)
class Statistics:
    """A choice of statistics."""

    name: str
    use: Callable[[nn.Module], AbstractContextManager[object]]
    """`use(network)` is the context in which the network has them."""
    batch_size: int | None = None
    alpha: float | None = None
    chunk: int = CHUNK  # images that must go through the network together

    def in_chunks(self, size: int) -> Statistics:
        return replace(self, chunk=size)


RUNNING = Statistics("running", lambda _: nullcontext())


def of_batches(size: int) -> Statistics:
    """Return the statistics of the batch itself, of `size` images, as in training."""
    chunk = size * max(1, CHUNK // size)
    return Statistics("batch", partial(in_parts, size=size), batch_size=size, chunk=chunk)


def mixed(alpha: float) -> Statistics:
    """Return alpha times one image's statistics + (1 − alpha) times the running ones.

    Mean and variance each.

    Schneider et al., "Improving robustness against common corruptions by covariate shift
    adaptation", NeurIPS 2020, for one image.
    """
    return Statistics("mix", partial(in_parts, size=1, alpha=alpha), alpha=alpha)


def fixed(name: str, moments: Mapping[str, Moments], batch_size: int) -> Statistics:
    """Return given moments by layer, estimated over batches of `batch_size`."""
    return Statistics(name, partial(given, moments=moments), batch_size=batch_size)


def distance(layer: nn.BatchNorm2d, precise: Moments) -> dict[str, float]:
    """Return how far running statistics are from precise ones (`lens.py`, axis "layers")."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    mean, variance = (moment.double() for moment in precise)
    running = layer.running_mean.double(), layer.running_var.double()
    wide = variance.clamp_min(0) + layer.eps
    # Running statistics that have come the share s from 0 and 1: s·mean and 1 + s·(variance − 1).
    target = torch.cat([mean, variance - 1])
    found = torch.cat([running[0], running[1] - 1])
    share = ((found @ target) / (target @ target).clamp_min(TINY)).clamp(0, 1)
    left = (found - share * target).square().sum() / found.square().sum().clamp_min(TINY)
    counted = layer.num_batches_tracked
    return {
        "shift": ((running[0] - mean).square() / wide).mean().sqrt().item(),
        "ratio": ((running[1] + layer.eps) / wide).log().mean().exp().item(),
        "initial": 1 - share.item(),
        "explained": 1 - min(left.item(), 1.0),
        "batches": 0 if counted is None else int(counted),
    }


def batch_layers(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}


@contextmanager
def mode_kept(network: nn.Module) -> Iterator[None]:
    """Put each module back into the mode that it was in."""
    modes = {module: module.training for module in network.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def given(network: nn.Module, moments: Mapping[str, Moments]) -> Iterator[None]:
    with _replaced(network, lambda name, layer, x: evaluate(layer, moments[name], x)):
        yield


@contextmanager
def in_parts(network: nn.Module, size: int, alpha: float = 1.0) -> Iterator[None]:
    """Let the layers take statistics of each `size` images in a row; the last may be fewer.

    With `alpha` below 1 they are mixed with the running ones, which have the weight 1 − alpha.
    """

    def forward(_: str, layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        means, variances = moments_of_parts(x, size)
        if layer.running_mean is not None and layer.running_var is not None:
            means = layer.running_mean.lerp(means, alpha)
            variances = layer.running_var.lerp(variances, alpha)
        return evaluate_parts(layer, means, variances, x, size)

    with _replaced(network, forward):
        yield


@torch.no_grad()
def estimate(
    network: nn.Module, chunks: Iterable[Tensor], size: int
) -> dict[str, dict[str, Moments]]:
    """Return moments by layer over batches of `size` images, the weights being fixed.

    `chunks` (N, 3, H, W), N a multiple of `size`, go through with their batches' own statistics.
    `precise`: the population's mean and variance, E[μ² + σ²] − E[μ]² with σ² biased (Wu and
    Johnson, "Rethinking 'Batch' in BatchNorm", 2021). `cumulative`: what the running statistics of
    torch's batch norm with momentum=None become, the average of means and of unbiased variances.
    """
    network.eval()
    found: dict[str, dict[str, Moments]] = {"precise": {}, "cumulative": {}}
    if not batch_layers(network):
        return found
    sums: dict[str, Tensor] = {}

    def forward(name: str, layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        means, variances = moments_of_parts(x, size)
        m, v = means.double(), variances.double()
        values = size * x[0, 0].numel()
        unbiased = v * (values / max(values - 1, 1))
        # Counted with them: a network may call a layer more than once.
        for new in torch.stack([m, m**2, v, unbiased, torch.ones_like(m)], 1):
            sums[name] = sums[name] + new if name in sums else new
        return evaluate_parts(layer, means, variances, x, size)

    with _replaced(network, forward):
        for chunk in chunks:
            network(chunk)
    for name, total in sums.items():
        mean, square, variance, unbiased = total[:4] / total[4]
        found["precise"][name] = mean, variance + square - mean**2
        found["cumulative"][name] = mean, unbiased
    return found


@contextmanager
def _replaced(
    network: nn.Module, forward: Callable[[str, nn.BatchNorm2d, Tensor], Tensor]
) -> Iterator[None]:
    """Let each layer compute `forward(name, layer, x)`."""
    layers = batch_layers(network)
    try:
        for name, layer in layers.items():
            # An attribute of the object hides the method of its class.
            layer.forward = partial(forward, name, layer)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers.values():
            vars(layer).pop("forward", None)
