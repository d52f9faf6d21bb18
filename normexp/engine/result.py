"""What a training found."""

from __future__ import annotations

from typing import Any

from normexp.contracts import HasReadings
from normexp.engine.fit import Training


def findings(training: Training, finite: bool) -> dict[str, Any]:
    """Return the content of `result.json`: test images are seen here, once.

    Everything but `timing` and `environment` is a function of the settings.
    """
    state = training.state
    seconds = sum(state.epoch_seconds) + state.seconds
    return {
        "outcome": "finished" if finite else "diverged",
        "test": _test(training) if finite else None,
        "steps": state.step,
        "images": state.step * training.loader.batch_size,
        "parameters": sum(p.numel() for p in state.network.parameters()),
        "classes": list(training.data.classes),
        "history": state.history,
        "readings": {
            f"{what}/{name}": reading.item()
            for name, module in state.network.named_modules()
            if finite and isinstance(module, HasReadings)  # JSON has no NaN
            for what, reading in module.readings().items()
        },
        "timing": {
            "seconds": seconds,
            "epoch_seconds": state.epoch_seconds,
            "images_per_second": state.step * training.loader.batch_size / seconds,
        },
        "environment": training.environment,
    }


def _test(training: Training) -> dict[str, Any]:
    network, images = training.state.network, training.data.test
    clean = training.evaluator.score(network, images)
    return {
        "loss": clean.loss,
        "accuracy": clean.accuracy,
        "contrast": training.evaluator.contrast_accuracy(network, images),
    }
