"""The result of a training."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from normexp.contracts import HasReadings
from normexp.data.standardise import ScaledChannels
from normexp.engine.fit import Training
from normexp.evaluation.inputs import (
    accuracy_by_gain,
    accuracy_without_channels,
    gradient_by_gain,
)
from normexp.evaluation.modes import mode_gap
from normexp.runs.result import ByGain, ChannelValues, RunResult, TestResult, Timing


def findings(training: Training, finite: bool) -> RunResult:
    """Return the result of a training; the test images are used here, once."""
    state = training.state
    seconds = sum(state.epoch_seconds) + state.seconds
    num_images = state.step * training.loader.batch_size
    return RunResult(
        outcome="finished" if finite else "diverged",
        test=_test(training) if finite else None,
        steps=state.step,
        images=num_images,
        parameters=sum(p.numel() for p in state.network.parameters()),
        classes=training.data.classes,
        history=tuple(state.history),
        readings={
            f"{what}/{name}": reading.item()
            for name, module in state.network.named_modules()
            if finite and isinstance(module, HasReadings)  # JSON has no NaN
            for what, reading in module.readings().items()
        },
        layers=dict(_layers(state.network)) if finite else {},
        timing=Timing(seconds, tuple(state.epoch_seconds), num_images / seconds),
        environment=training.environment,
    )


def _test(training: Training) -> TestResult:
    network, images, evaluator = training.state.network, training.data.test, training.evaluator
    clean = evaluator.score(network, images)
    return TestResult(
        loss=clean.loss,
        accuracy=clean.accuracy,
        contrast=evaluator.contrast_accuracy(network, images),
        mode_gap=mode_gap(evaluator, network, images, training.loader.batch_size),
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
                yield (
                    f"{name}.{what}",
                    ChannelValues(
                        mean=values.mean().item(),
                        sd=values.std(correction=0).item(),
                        min=values.min().item(),
                        max=values.max().item(),
                    ),
                )
