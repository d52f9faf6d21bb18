"""Measurements of untrained networks, for the claims that need no training.

Each takes a network with its norms in place and batches of standardised training images
(N, 3, H, W) with labels (N,), and returns numbers by name. `conf/claims/` names the function.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import EmptySite, NamesPlaces
from normexp.evaluation.probe import TINY, deviation, explained, standardised

Batches = Sequence[tuple[Tensor, Tensor]]


@torch.no_grad()
def logit_gap(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return the difference of logits between train and eval mode, over their root mean square.

    `largest`: the largest difference, `gap`: the root mean square of the differences, over the
    last 8 batches. Running statistics have seen all batches.
    """
    settle(network, batches)
    inputs = [images for images, _ in batches[-8:]]
    evaluated, trained = (
        torch.cat([network.train(mode)(images) for images in inputs]) for mode in (False, True)
    )
    size = evaluated.square().mean().sqrt().clamp_min(TINY)
    gap = (trained - evaluated).square().mean().sqrt() / size
    return {"largest": deviation(evaluated, trained), "gap": gap.item()}


@torch.no_grad()
def identity_fit(network: nn.Module, batches: Batches) -> Mapping[str, float]:
    """Return how well the first norm can be the identity in eval mode.

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
    """Return the ratio of the gradient norms of the first and the last convolution's weights.

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
    """Return the distance of the norms' outputs from instance norm's, up to a scale and a shift.

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
    """Return how much the logits of the images in a batch differ, with random scales and shifts.

    `spread`: the largest difference between an image's logits and their mean over images, over the
    root mean square.
    """
    generator = torch.Generator().manual_seed(0)
    for norm in norms(network):
        for parameter in norm.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise.to(parameter), alpha=0.5)
    logits = network.train()(batches[0][0])
    return {"spread": deviation(logits.mean(0, keepdim=True).expand_as(logits), logits)}


def settle(network: nn.Module, batches: Batches) -> None:
    """Run all batches through the network in train mode, so that running statistics settle."""
    network.train()
    for images, _ in batches:
        network(images)


def norms(network: nn.Module) -> list[nn.Module]:
    """Return the norms of a network; raises ValueError if it has no `norm_roles`."""
    if not isinstance(network, NamesPlaces):
        raise ValueError("the network does not tell where its norms are: give it norm_roles")
    return [
        module
        for name, module in network.named_modules()
        if any(re.fullmatch(pattern, name) for pattern in network.norm_roles)
        and not isinstance(module, EmptySite)
    ]


@contextmanager
def passing(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    seen: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, i, o: seen.append((i[0].clone(), o.clone())))
    try:
        yield seen
    finally:
        handle.remove()
