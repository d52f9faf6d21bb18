"""The logits of a trained network for changed images under other statistics."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import LabelledImages
from normexp.data.gain import amplified
from normexp.data.standardise import Standardise
from normexp.evaluation.contrasts import Change, unchanged
from normexp.evaluation.statistics import Statistics, batch_layers
from normexp.precision import Precision


@dataclass
class Subject:
    """A trained network with its test images. Logits are kept, so that none is computed twice."""

    network: nn.Module
    images: LabelledImages  # the test images
    standardise: Standardise
    precision: Precision
    seed: int  # of the draws of changes, and of the other images in a batch
    _kept: dict[object, Tensor] = field(default_factory=dict)

    def logits(self, statistics: Statistics, change: Change | None = None) -> Tensor:
        """Return float (N, K): each image, changed, in the order of the images."""
        change = change or unchanged()
        # The corruption in float is a point of the curve, and level 1 changes nothing.
        kind = "curve" if change.name == "corruption_float" else change.name
        kind = "none" if change.level == 1 else kind
        choice: tuple[object, ...] = (statistics.chunk,)
        if batch_layers(self.network):  # else all statistics are the same
            choice = (statistics.name, statistics.batch_size, statistics.alpha, *choice)
        key = (kind, change.level, choice)
        if key not in self._kept:
            self._kept[key] = self._compute(statistics, change)
        return self._kept[key]

    @torch.no_grad()
    def _compute(self, statistics: Statistics, change: Change) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        draws = change.draw(len(self.images), generator).to(self.images.images.device)
        parts = []
        with statistics.use(self.network):
            for start in range(0, len(self.images), statistics.chunk):
                part = slice(start, start + statistics.chunk)
                batch = self.images[part]
                parts.append(self.answer(change.apply(batch.images, draws[part]), batch.gain))
        return torch.cat(parts)

    @torch.no_grad()
    def answer(self, images: Tensor, gain: Tensor | None) -> Tensor:
        """Return the logits (N, K) of `images`, float (N, 3, H, W) in [0, 1], with their `gain`."""
        self.network.eval()
        inputs = amplified(self.standardise(images), gain)
        with self.precision.autocast():
            logits: Tensor = self.network(inputs)
        return logits.float()

    def measures(self, logits: Tensor, reference: Tensor) -> dict[str, float]:
        """Return how good `logits` (N, K) are, and how far from `reference`."""
        labels = self.images.labels
        difference = (logits - reference).abs()
        predicted = logits.argmax(1)
        return {
            "accuracy": (predicted == labels).double().mean().item(),
            "loss": F.cross_entropy(logits.double(), labels).item(),
            "drift": difference.double().mean().item(),
            "largest": difference.max().item(),
            "changed": (predicted != reference.argmax(1)).double().mean().item(),
            "images": len(labels),
        }
