"""What the test images say of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt

CONTRAST_LEFT = {"1": 0.75, "2": 0.5, "3": 0.4, "4": 0.3, "5": 0.15}
"""Share of contrast that a severity leaves (`evaluation/corruption.py` has the source)."""
SEVERITIES = tuple(CONTRAST_LEFT)


@dataclass(frozen=True)
class ModeGap:
    """Statistics of test batches, as batch norm has in train mode, against running ones."""

    images: int
    accuracy: float  # with the batches' own statistics less with running ones
    largest: float | None  # the largest difference of a logit; None where it is not finite


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
    contrast: Mapping[str, float]  # accuracy by severity of reduced contrast, "1" to "5"
    mode_gap: ModeGap
    confusion: tuple[tuple[int, ...], ...] = ()
    """Number of images by class (row) and prediction (column); empty in records of format 0."""
    correct: str = ""  # images classified right: packed bits in base64, in the order of the set
    fingerprint: str = ""  # of the test images and their labels, in their order
    by_gain: ByGain | None = None  # where images have gains
    without_channel: Mapping[str, float] | None = None  # without one, where one is scaled

    def __post_init__(self) -> None:
        """Raise ValueError where values do not fit each other: a record may have any."""
        if set(self.contrast) != set(SEVERITIES):
            raise ValueError(".contrast has not the severities 1 to 5")
        for share in (self.accuracy, *self.contrast.values()):
            if not 0 <= share <= 1:
                raise ValueError(f": {share} is no share of the images")
        if any(len(row) != len(self.confusion) or min(row) < 0 for row in self.confusion):
            raise ValueError(".confusion is no table of counts, a row and a column a class")
        if self.correct and len(self.correct) != 4 * ceil(ceil(self.num_images / 8) / 3):
            raise ValueError(f".correct is not of {self.num_images} images")

    @cached_property
    def num_images(self) -> int:
        """The number of test images; 0 in records of format 0."""
        return sum(map(sum, self.confusion))

    @cached_property
    def chance(self) -> float:
        """The accuracy of always predicting the largest class."""
        return max(map(sum, self.confusion), default=0) / max(self.num_images, 1)

    @property
    def balanced_accuracy(self) -> float:
        """The mean over the classes of the share of their images that are classified right."""
        shares = [row[i] / sum(row) for i, row in enumerate(self.confusion) if sum(row)]
        return sum(shares) / max(len(shares), 1)

    @property
    def has_equal_classes(self) -> bool:
        """Whether all classes have as many test images."""
        return len({sum(row) for row in self.confusion}) <= 1

    @cached_property
    def is_at_chance(self) -> bool:
        """Whether the accuracy is not above chance by two standard errors of the test images."""
        if not self.num_images:
            return False
        error = sqrt(self.chance * (1 - self.chance) / self.num_images)
        return self.accuracy <= self.chance + 2 * error
