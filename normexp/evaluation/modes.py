"""Compare test-batch statistics, which are batch norm's in train mode, with running ones.

Of layers that have others in train mode, such as `GhostBatchNorm`, it is not the gap of the modes.
"""

from math import isfinite

from torch import nn

from normexp.contracts import LabelledImages
from normexp.evaluation.accuracy import Evaluator
from normexp.evaluation.statistics import RUNNING, of_batches
from normexp.evaluation.subject import Subject
from normexp.runs.tested import ModeGap

# Twice so many images go through the network, below a fiftieth of all but the smallest trainings.
NUM_IMAGES = 512


def mode_gap(
    evaluator: Evaluator, network: nn.Module, images: LabelledImages, batch_size: int
) -> ModeGap:
    """Return the gap on the first `images`; exactly 0 for a network without batch statistics."""
    some = images[: max(NUM_IMAGES, batch_size)]
    subject = Subject(network, some, evaluator.standardise, evaluator.precision, seed=0)
    statistics = of_batches(min(batch_size, len(some)))
    was_training = network.training
    running = subject.logits(RUNNING.in_chunks(statistics.chunk))
    found = subject.measures(subject.logits(statistics), running)
    network.train(was_training)
    gap = found["accuracy"] - subject.measures(running, running)["accuracy"]
    largest = found["largest"] if isfinite(found["largest"]) else None
    return ModeGap(len(some), gap, largest)
