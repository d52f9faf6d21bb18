"""The result of a training."""

from collections.abc import Iterator
from math import isfinite
from typing import Literal

import torch
from torch import nn

from normexp.data.fingerprint import fingerprint
from normexp.data.standardise import ByDataset, ScaledChannels
from normexp.engine.fit import Training, readings
from normexp.evaluation.inputs import accuracy_by_gain, accuracy_without_channels, gradient_by_gain
from normexp.evaluation.modes import mode_gap
from normexp.runs.bits import packed
from normexp.runs.plain import to_plain
from normexp.runs.result import ChannelValues, ImageCounts, Inputs, RunResult, Timing
from normexp.runs.tested import ByGain, TestResult


def findings(training: Training, finite: bool) -> RunResult:
    """Use the test images, once; a run with a number that is not finite has diverged."""
    if finite:
        found = _findings(training, _test(training), "finished")
        if all(map(isfinite, _numbers(to_plain(found)))):
            return found
    return _findings(training, None, "diverged")


def _findings(
    training: Training, test: TestResult | None, outcome: Literal["finished", "diverged"]
) -> RunResult:
    state, data = training.state, training.data
    seconds = sum(state.epoch_seconds) + state.seconds
    num_images = state.step * training.images_per_step
    return RunResult(
        outcome=outcome,
        test=test,
        steps=state.step,
        images=num_images,
        parameters=sum(p.numel() for p in state.network.parameters()),
        classes=data.classes,
        history=tuple(state.history),
        readings={n: r.item() for n, r in readings(state.network).items()} if test else {},
        layers=dict(_layers(state.network)) if test else {},
        timing=Timing(seconds, tuple(state.epoch_seconds), num_images / seconds if seconds else 0),
        environment=training.environment,
        counts=ImageCounts(len(data.train), len(data.val), len(data.test)),
        feature_spread=training.feature_spread,
        inputs=_inputs(training),
    )


def _inputs(training: Training) -> Inputs:
    standardise = training.evaluator.standardise
    if isinstance(standardise, ScaledChannels):
        standardise = standardise.standardise
    _, height, width, _ = training.data.train.images.shape
    numbers = (
        [standardise.mean, standardise.std] if isinstance(standardise, ByDataset) else [()] * 2
    )
    return Inputs(height, width, *(tuple(torch.as_tensor(v).flatten().tolist()) for v in numbers))


def _numbers(value: object) -> Iterator[float]:
    """Yield every number in nested plain values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value


def _test(training: Training) -> TestResult:
    network, images, evaluator = training.state.network, training.data.test, training.evaluator
    clean, classes = evaluator.score(network, images), len(training.data.classes)
    labels = images.labels.cpu()
    counts = torch.bincount(labels * classes + clean.predictions, minlength=classes**2)
    return TestResult(
        loss=clean.loss,
        accuracy=clean.accuracy,
        contrast=evaluator.contrast_accuracy(network, images),
        mode_gap=mode_gap(evaluator, network, images, training.loader.batch_size),
        confusion=tuple(map(tuple, counts.view(classes, classes).tolist())),
        correct=packed((clean.predictions == labels).tolist()),
        fingerprint=fingerprint(images),
        by_gain=None
        if images.gain is None
        else ByGain(
            tuple(accuracy_by_gain(evaluator, network, images)),
            tuple(gradient_by_gain(evaluator, network, training.loader)),
        ),
        without_channel=accuracy_without_channels(evaluator, network, images)
        if isinstance(evaluator.standardise, ScaledChannels)
        else None,
    )


def _layers(network: nn.Module) -> Iterator[tuple[str, ChannelValues]]:
    """Yield the mean, spread and limits of each tensor with a value a channel, such as a scale."""
    for name, module in network.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        if any(tensor.ndim > 1 for _, tensor in own):  # a convolution, a linear layer
            continue
        for what, tensor in own:
            if tensor.ndim == 1:
                values = tensor.detach().double()
                sd = values.std(correction=0)
                moments = (values.mean(), sd, values.min(), values.max())
                yield f"{name}.{what}", ChannelValues(*(each.item() for each in moments))
