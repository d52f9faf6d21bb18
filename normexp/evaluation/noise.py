"""Spread of an image's logits and norm outputs over the other images in its batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from normexp.data.standardise import to_unit
from normexp.evaluation.statistics import CHUNK, batch_layers, of_batches
from normexp.evaluation.subject import Subject

LOGITS = "logits"


@torch.no_grad()
def spreads(
    subject: Subject, batch_size: int, num_images: int, draws: int
) -> dict[str, tuple[float, float]]:
    """Return the spread and the size of the logits, and of each norm's output, by name.

    The first `num_images` test images each stand in `draws` batches whose other images are drawn
    from the test set, all under the batch's own statistics. Spread: the standard deviation over
    draws, root mean square over an image's values, averaged over images. Size: the root mean
    square of the values. A norm's spread includes what the layers before it pass on.
    """
    statistics = of_batches(batch_size)
    at_once = max(1, CHUNK // batch_size)
    generator = torch.Generator().manual_seed(subject.seed)
    if not batch_layers(subject.network):
        draws = 2  # any is like any other, and two have a spread
    totals: dict[str, list[Tensor]] = {}
    for image in range(num_images):
        drawn = _batches_around(image, len(subject.images), batch_size, draws, generator)
        seen: dict[str, list[Tensor]] = {}
        with statistics.use(subject.network), _outputs(subject.network, batch_size, seen):
            for batches in torch.split(drawn, at_once):
                batch = subject.images[batches.flatten().to(subject.images.labels.device)]
                logits = subject.answer(to_unit(batch.images), batch.gain)
                seen.setdefault(LOGITS, []).append(logits[::batch_size])
        for name, parts in seen.items():
            totals.setdefault(name, []).append(_spread_and_size(torch.cat(parts).double()))
    found = {name: torch.stack(each).mean(0).tolist() for name, each in totals.items()}
    return {name: (spread, size) for name, (spread, size) in found.items()}


def norm_layers(network: nn.Module) -> list[str]:
    """Return the largest modules around each batch norm that hold no weights of other layers."""
    modules = dict(network.named_modules())
    names = []
    for name in batch_layers(network):
        while (parent := name.rpartition(".")[0]) and not _has_weights(modules[parent]):
            name = parent
        names.append(name)
    return list(dict.fromkeys(names))


def _has_weights(module: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d | nn.Linear) for m in module.modules())


def _batches_around(
    image: int, number: int, batch_size: int, draws: int, generator: torch.Generator
) -> Tensor:
    """Return batches (draws, batch_size) of different indices below `number`, `image` first."""
    rows = []
    for _ in range(draws):
        others = torch.randperm(number - 1, generator=generator)[: batch_size - 1]
        rows.append(torch.cat([torch.tensor([image]), others + (others >= image)]))
    return torch.stack(rows)


@contextmanager
def _outputs(network: nn.Module, every: int, seen: dict[str, list[Tensor]]) -> Iterator[None]:
    """Collect each norm's output for the first of `every` images."""

    def keep(name: str, _: nn.Module, __: object, output: Tensor) -> None:
        seen.setdefault(name, []).append(output[::every].float())

    handles = [
        network.get_submodule(name).register_forward_hook(partial(keep, name))
        for name in norm_layers(network)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _spread_and_size(values: Tensor) -> Tensor:
    # Differences first: equal values then have a spread of exactly 0.
    variance = (values - values[0]).var(0)
    return torch.stack([variance.mean().sqrt(), values.square().mean().sqrt()])
