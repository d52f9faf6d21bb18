"""What claims say of networks that need no training to be tested.

Each measurement takes a network with its norms in place and batches of standardised training
images (N, 3, H, W) with labels (N,), and returns numbers by name. A function of `conf/claims/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.evaluation.prove import TINY, deviation, explained, standardised

Batches = Sequence[tuple[Tensor, Tensor]]


@torch.no_grad()
def logit_gap(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return how far the logits of the last batch in training are from those in evaluation.

    `gap`: the largest difference over the root mean square. Running statistics have seen all
    batches.
    """
    settle(network, batches)
    images, _ = batches[-1]
    evaluated = network.eval()(images)
    return {"gap": deviation(evaluated, network.train()(images))}


@torch.no_grad()
def identity_fit(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return how well the first norm can be the identity in evaluation.

    `r2`: R² of its input by its output with the best scale and shift for each channel, the same
    for all images.
    """
    settle(network, batches)
    with passing(norms(network)[0]) as seen:
        for images, _ in batches:
            network.eval()(images)
    inputs, outputs = (torch.cat(each).double() for each in zip(*seen, strict=True))
    return {"r2": explained(inputs, outputs)}


def first_over_last(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return the gradient norm of the first convolution's weights over the last's.

    `log10_ratio`: its logarithm, on the first batch, in training.
    """
    images, labels = batches[0]
    network.train().zero_grad()
    F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    first, last = (
        torch.cat([p.grad.flatten() for p in conv.parameters() if p.grad is not None]).double()
        for conv in (convolutions[0], convolutions[-1])
    )
    ratio = first.norm().clamp_min(TINY) / last.norm().clamp_min(TINY)
    return {"log10_ratio": ratio.log10().item()}


@torch.no_grad()
def distance_to_instance(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return how far the norms' outputs are from instance norm's, up to a scale and a shift.

    `distance`: the largest over the norms of 1 − R², in evaluation.
    """
    settle(network, batches)
    distances = []
    for norm in norms(network):
        with passing(norm) as seen:
            network.eval()(batches[0][0])
        ((x, y),) = seen
        distances.append(1 - explained(standardised(x.double(), (2, 3)), y.double()))
    return {"distance": max(distances)}


@torch.no_grad()
def answer_spread(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return how much the answers to the images of a batch differ, whatever was learned.

    `spread`: the largest difference between an image's logits and their mean over images, over the
    root mean square, with random scales and shifts in all norms.
    """
    generator = torch.Generator().manual_seed(0)
    for norm in norms(network):
        for parameter in norm.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise.to(parameter), alpha=0.5)
    logits = network.train()(batches[0][0])
    return {"spread": deviation(logits.mean(0, keepdim=True).expand_as(logits), logits)}


def settle(network: nn.Module, batches: Batches) -> None:
    """Let the running statistics see all batches."""
    network.train()
    for images, _ in batches:
        network(images)


def norms(network: nn.Module) -> list[nn.Module]:
    """Return the norms of a network of ours, by the names that they have there."""
    named = [name for name, _ in network.named_modules() if re.search(r"(norm|bn)\d?$", name)]
    outermost = [n for n in named if not any(n.startswith(f"{other}.") for other in named)]
    return [network.get_submodule(name) for name in outermost]


@contextmanager
def passing(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect what goes into `module` and what comes out of it."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, i, o: seen.append((i[0].clone(), o.clone())))
    try:
        yield seen
    finally:
        handle.remove()
