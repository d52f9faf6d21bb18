"""What a run found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from normexp.runs.spec import NUMERICS


@dataclass(frozen=True)
class EpochResult:
    """The end of an epoch; losses in nats, accuracies as shares."""

    epoch: int
    step: int
    images: int
    """Training images seen so far."""
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class ModeGap:
    """Train mode against eval mode on the first test images."""

    images: int
    accuracy: float
    """With the batches' own statistics less with running ones."""
    largest: float | None
    """The largest difference of a logit; None where it is not finite."""


@dataclass(frozen=True)
class ByGain:
    """By quarter of the images' gains, from the weakest on."""

    accuracy: tuple[float, ...]
    gradient_norm: tuple[float, ...]


@dataclass(frozen=True)
class TestResult:
    """What the test images say, which are seen once, at the end."""

    __test__ = False  # no test of pytest's

    loss: float
    accuracy: float
    contrast: Mapping[str, float]
    """Accuracy by severity of reduced contrast, "1" to "5"."""
    mode_gap: ModeGap
    by_gain: ByGain | None = None
    """Where images have gains."""
    without_channel: Mapping[str, float] | None = None
    """Accuracy with a channel left out, where one is scaled."""


@dataclass(frozen=True)
class ChannelValues:
    """A tensor with a value a channel, such as a norm's scale."""

    mean: float
    sd: float
    min: float
    max: float


@dataclass(frozen=True)
class Timing:
    """How long the training took."""

    seconds: float
    epoch_seconds: tuple[float, ...]
    images_per_second: float


@dataclass(frozen=True)
class Environment:
    """What two runs must share for bit-equal results."""

    normexp: str
    python: str
    torch: str
    device: str
    processor: str
    threads: int
    precision: str
    kernels: str
    """`compiled` where layers on the CPU had them, else `none`."""


@dataclass(frozen=True)
class RunResult:
    """What a run found. Everything but `timing` and `environment` is a function of its settings."""

    outcome: Literal["finished", "diverged"]
    """`diverged` where the loss became infinite or not a number."""
    test: TestResult | None
    """None where the run diverged."""
    steps: int
    images: int
    parameters: int
    classes: tuple[str, ...]
    history: tuple[EpochResult, ...]
    readings: Mapping[str, float]
    """Numbers that layers speak of, such as `gate/stage0.0.norm`."""
    layers: Mapping[str, ChannelValues]
    """By tensor with a value a channel."""
    timing: Timing
    environment: Environment
    numerics: int = NUMERICS

    def __str__(self) -> str:
        if self.test is None:
            return f"diverged after {self.steps} steps: the loss is not finite"
        contrast = " ".join(f"{100 * accuracy:.1f}" for accuracy in self.test.contrast.values())
        return (
            f"test accuracy {100 * self.test.accuracy:.1f} %, "
            f"at contrast severity 1 to 5: {contrast} %"
        )
