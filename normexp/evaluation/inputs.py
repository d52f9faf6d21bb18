"""Accuracy and gradients by the gain of an image, and accuracy without a colour channel."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import LabelledImages
from normexp.data.loader import Loader
from normexp.data.standardise import ScaledChannels
from normexp.evaluation.accuracy import Evaluator

CHANNELS = ("red", "green", "blue")


def quarters(gain: Tensor) -> tuple[Tensor, ...]:
    """Return the indices of the images in each quarter by `gain` (N,), the weakest first."""
    return gain.argsort(stable=True).tensor_split(4)


def accuracy_by_gain(
    evaluator: Evaluator, network: nn.Module, images: LabelledImages
) -> list[float]:
    assert images.gain is not None
    return [evaluator.score(network, images[part]).accuracy for part in quarters(images.gain)]


def gradient_by_gain(evaluator: Evaluator, network: nn.Module, loader: Loader) -> list[float]:
    """Return the norm of the weights' gradient for each quarter of a training batch by gain.

    The batch is the first of epoch 0, in training mode; the loss is the mean over the quarter.
    Empty where a batch has less than four images. `network` stays as it is.
    """
    assert loader.images.gain is not None
    epoch = loader.epoch(0)
    images, labels = epoch.batch(0)
    if len(images) < 4:
        return []
    trial = copy.deepcopy(network).train()
    with torch.random.fork_rng(), evaluator.precision.autocast():
        losses = F.cross_entropy(trial(images).float(), labels, reduction="none")
    weights = [p for p in trial.parameters() if p.requires_grad]
    gain = loader.images.gain[epoch.order[: len(images)]]
    norms = []
    for part in quarters(gain):
        gradients = torch.autograd.grad(losses[part].mean(), weights, retain_graph=True)
        norms.append(torch.nn.utils.get_total_norm(gradients).item())
    return norms


def accuracy_without_channels(
    evaluator: Evaluator, network: nn.Module, images: LabelledImages
) -> dict[str, float]:
    """Return the accuracy without each colour channel: it is held at its mean over the data set."""
    scaled = evaluator.standardise
    assert isinstance(scaled, ScaledChannels)
    accuracy = {}
    for number, channel in enumerate(CHANNELS):
        factors = scaled.factors.clone()
        factors[number] = 0
        without = replace(evaluator, standardise=replace(scaled, factors=factors))
        accuracy[channel] = without.score(network, images).accuracy
    return accuracy
