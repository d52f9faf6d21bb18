"""Loss and accuracy of a network on images, as they are and at reduced contrast."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.contracts import LabelledImages
from normexp.data.gain import amplified
from normexp.data.standardise import Standardise, to_unit
from normexp.evaluation.corruption import SEVERITIES, channel_means, reduce_contrast
from normexp.evaluation.statistics import mode_kept
from normexp.precision import Precision

BATCH_SIZE = 250


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats, and accuracy as a share."""

    loss: float
    accuracy: float
    predictions: Tensor  # the classes (N,) that were predicted, on the CPU


@dataclass(frozen=True)
class Evaluator:
    """Measures a network in eval mode."""

    standardise: Standardise
    precision: Precision

    @torch.no_grad()
    def score(self, network: nn.Module, images: LabelledImages) -> Score:
        """Score `network` in eval mode on uint8 `images`; then restore its mode."""
        loss = torch.zeros((), dtype=torch.float64, device=images.images.device)
        predictions = []
        with mode_kept(network):
            network.eval()
            for start in range(0, len(images), BATCH_SIZE):
                batch = images[start : start + BATCH_SIZE]
                x = amplified(self.standardise(to_unit(batch.images)), batch.gain)
                with self.precision.autocast():
                    logits = network(x).float()
                loss += F.cross_entropy(logits, batch.labels, reduction="sum")
                predictions.append(logits.argmax(1))
        predicted = torch.cat(predictions)
        right = (predicted == images.labels).sum().item()
        return Score(loss.item() / len(images), right / len(images), predicted.cpu())

    def contrast_accuracy(self, network: nn.Module, images: LabelledImages) -> dict[str, float]:
        parts = torch.split(images.images, BATCH_SIZE)
        means = [channel_means(part) for part in parts]
        accuracy = {}
        for severity, share in SEVERITIES.items():
            changed = (reduce_contrast(p, share, m) for p, m in zip(parts, means, strict=True))
            at_severity = replace(images, images=torch.cat(list(changed)))
            accuracy[str(severity)] = self.score(network, at_severity).accuracy
        return accuracy
