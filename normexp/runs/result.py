"""What a run found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from normexp.runs.spec import NUMERICS, Settings
from normexp.runs.tested import TestResult

SMALL_SPREAD = 0.1  # in the CNN 0.6 after batch norm, 0.06 after instance norm with average pooling


@dataclass(frozen=True)
class EpochResult:
    """The end of an epoch; losses in nats, accuracies as shares."""

    epoch: int
    step: int
    images: int  # training images seen so far
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class ImageCounts:
    """How many images a run had."""

    train: int
    val: int
    test: int


@dataclass(frozen=True)
class ChannelValues:
    """A tensor with a value a channel, such as a norm's scale."""

    mean: float
    sd: float
    min: float
    max: float


@dataclass(frozen=True)
class Inputs:
    """What a network was trained on: images of this size, standardised with these numbers."""

    height: int
    width: int
    mean: tuple[float, ...]
    """A channel over the training images, in [0, 1]; empty where each image has its own."""
    std: tuple[float, ...]


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
    kernels: str  # `compiled` where layers on the CPU had them, else `none`
    instructions: str = ""
    """The CPU's instruction set as torch uses it, such as AVX2; the first records have none."""


@dataclass(frozen=True)
class RunResult:
    """What a run found. Everything but `timing` and `environment` is a function of its settings."""

    outcome: Literal["finished", "diverged"]  # `diverged`: the loss became infinite or nan
    test: TestResult | None  # None where the run diverged
    steps: int
    images: int
    parameters: int
    classes: tuple[str, ...]
    history: tuple[EpochResult, ...]
    readings: Mapping[str, float]  # numbers that layers speak of, such as `gate/stage0.0.norm`
    layers: Mapping[str, ChannelValues]  # by tensor with a value a channel
    timing: Timing
    environment: Environment
    counts: ImageCounts | None = None  # None in records of format 0
    feature_spread: float | None = None
    """Spread over images of the last linear layer's inputs, over their root mean square, at the
    start; None where the network has no such layer."""
    numerics: int = NUMERICS
    inputs: Inputs | None = None
    """None in records that were written before it was kept."""

    def __post_init__(self) -> None:
        """Raise ValueError where values do not fit each other: a record may have any."""
        if self.test is None and self.outcome == "finished":
            raise ValueError(".test is needed of a finished run")
        if self.test and self.test.confusion and len(self.test.confusion) != len(self.classes):
            raise ValueError(f".classes are not the {len(self.test.confusion)} of the test")
        if not self.classes:
            raise ValueError(".classes are none")

    @property
    def last_epoch(self) -> EpochResult | None:
        """The last epoch; None where the run diverged, or was not trained."""
        return self.history[-1] if self.test and self.history else None

    @property
    def has_learned(self) -> bool:
        return self.test is not None and not self.test.is_at_chance

    def hint(self, model: Settings) -> str:
        """Return what to try where the run has not learned; empty where it has."""
        if self.test is None or not self.test.is_at_chance:
            return ""
        tries = ["train longer", "try another learning rate"]
        if model.get("after", "flatten") != "flatten":
            tries.append("try model.after=flatten")
        cause = ""
        if self.feature_spread is not None and self.feature_spread < SMALL_SPREAD:
            cause = (
                "; before training, what the last layer sees was nearly the same for every image "
                f"(it varied by {100 * self.feature_spread:.0f} %), as after instance norm and "
                "average pooling, which makes the first epochs slow"
            )
        return (
            f"has not learned: the most frequent class alone gives {100 * self.test.chance:.3g} %"
            f"{cause}; "
            f"{', or '.join([', '.join(tries[:-1]), tries[-1]])}"
        )

    def __str__(self) -> str:
        if self.test is None:
            return f"diverged after {self.steps} steps: the loss or a statistic is not finite"
        contrast = " ".join(f"{100 * accuracy:.1f}" for accuracy in self.test.contrast.values())
        balanced = (
            ""
            if self.test.has_equal_classes
            else f" (balanced over classes {100 * self.test.balanced_accuracy:.1f} %)"
        )
        return (
            f"test accuracy {100 * self.test.accuracy:.1f} %{balanced}, "
            f"at contrast severity 1 to 5: {contrast} %"
        )
