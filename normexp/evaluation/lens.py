"""The lens: evaluate a trained network under every contrast and every choice of statistics.

It returns rows, flat dicts that `lens.json` and `lens.csv` hold. Every row has an `axis`, and the
keys of that axis:

axis "contrast", a change of the test images under running or under test-batch statistics:
    change      "none" | "corruption" (published, uint8) | "corruption_float" | "curve" (one share
                of contrast for all images) | "curve_per_image" (a share for each image, uniform
                between `level` and 1) | "gain" (a share for each channel of each image, likewise)
                | "gamma" (the control)
    level       share of contrast that is left, or gamma's exponent; 1 where nothing changes
    statistics  "running" | "batch": of the test batch itself
    batch_size  images of a test batch; null with running statistics
    accuracy, loss      of the changed images; loss in nats
    drift, largest      mean and largest absolute change of a logit, against the unchanged image
                        under the same statistics
    changed             share of predictions that changed, against the same
    images              that these five are of
axis "statistics", the unchanged images and severity 5 under other statistics:
    change, level       "none" or "corruption" at 0.15
    statistics          "running" | "batch" | "mix" | "precise" | "cumulative"
    batch_size          of "batch": of the test batch; of "precise" and "cumulative": of the
                        training batches that they are estimated over; else null
    alpha               of "mix": the weight of the example's own statistics; else null
    accuracy, loss, drift, largest, changed, images     as above, but against the same image under
                        running statistics
axis "noise", an image's values over random draws of the other images in the batch, under
test-batch statistics:
    batch_size  images of a batch, the image itself among them
    layer       a norm's name, or "logits" for the spread in total
    spread      standard deviation over draws, root mean square over values, mean over images
    size        root mean square of the values themselves
    images, draws
axis "layers", a row for each layer with running statistics:
    layer       its name
    shift       root mean square over channels of running less precise mean, over the precise
                standard deviation
    ratio       geometric mean over channels of running over precise variance
    initial     share of the first 0 and 1 in the running statistics, if the rest is precise
    explained   R² of the running statistics by that share
    batches     that they have seen; 0 where they are not counted
axis "cost", one row:
    batch_size, parameters, multiply_adds (of one image), step_seconds (median), peak_memory
    (bytes that a training step takes; null where they cannot be known)

Layers without batch statistics are the same under all of them, so that all differences from
running statistics are exactly 0.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from normexp.data.loader import Loader
from normexp.evaluation.contrasts import Change, all_changes, corruption, unchanged
from normexp.evaluation.corruption import SEVERITIES
from normexp.evaluation.cost import multiply_adds, step_cost
from normexp.evaluation.noise import spreads
from normexp.evaluation.parts import Moments
from normexp.evaluation.statistics import (
    CHUNK,
    RUNNING,
    Statistics,
    batch_layers,
    distance,
    estimate,
    fixed,
    mixed,
    of_batches,
)
from normexp.evaluation.subject import Subject
from normexp.runs.spec import Settings

Row = dict[str, object]
Task = Callable[[], list[Row]]


@dataclass(frozen=True)
class Lens:
    """Measures a network; each axis is a list of tasks, each of which returns a few rows."""

    subject: Subject
    loader: Loader  # of the training, at its batch size
    step: Callable[[], None]  # makes a training step, on a network that is not the trained one
    _kept: dict[object, Mapping[str, Mapping[str, Moments]]] = field(default_factory=dict)

    def tasks(self, axis: str, settings: Settings) -> list[Task]:
        axes: Mapping[str, Callable[..., Iterator[Task]]] = {
            "cost": self.cost,
            "contrast": self.contrast,
            "statistics": self.statistics,
            "noise": self.noise,
            "layers": self.layers,
        }
        return list(axes[axis](**settings))

    def contrast(self, batch_size: int, **levels: list[float]) -> Iterator[Task]:
        test_batch = of_batches(min(batch_size, len(self.subject.images)))
        for change in all_changes(**levels):
            for statistics in (RUNNING, test_batch):
                yield partial(self._contrast_rows, change, statistics)

    def _contrast_rows(self, change: Change, statistics: Statistics) -> list[Row]:
        reference = self.subject.logits(statistics)
        logits = self.subject.logits(statistics, change)
        row = row_of("contrast", change, statistics)
        return [row | self.subject.measures(logits, reference)]

    def statistics(
        self,
        batch_sizes: list[int],
        alphas: list[float],
        precise_batch_sizes: list[int],
        precise_images: int,
    ) -> Iterator[Task]:
        fitting = [size for size in batch_sizes if size <= len(self.subject.images)]
        for statistics in [RUNNING, *map(of_batches, fitting), *map(mixed, alphas)]:
            yield partial(self._statistics_rows, statistics)
        sizes = dict.fromkeys([self.loader.batch_size, *precise_batch_sizes])
        for size in sizes:
            if size <= len(self.loader.images):
                yield partial(self._precise_rows, size, precise_images)

    def _statistics_rows(self, statistics: Statistics) -> list[Row]:
        rows = []
        for change in (unchanged(), corruption(SEVERITIES[5])):
            logits = self.subject.logits(statistics, change)
            reference = self.subject.logits(RUNNING.in_chunks(statistics.chunk), change)
            row = row_of("statistics", change, statistics) | {"alpha": statistics.alpha}
            rows.append(row | self.subject.measures(logits, reference))
        return rows

    def _precise_rows(self, size: int, num_images: int) -> list[Row]:
        return [
            row
            for name, moments in self._estimated(size, num_images).items()
            for row in self._statistics_rows(fixed(name, moments, size))
        ]

    def _estimated(self, size: int, num_images: int) -> Mapping[str, Mapping[str, Moments]]:
        """Estimate moments over batches of `size` training images; the same are kept."""
        key = (size, num_images)
        if key not in self._kept:
            with self.subject.precision.autocast():
                chunks = self._training_chunks(size, num_images)
                self._kept[key] = estimate(self.subject.network, chunks, size)
        return self._kept[key]

    def _training_chunks(self, size: int, num_images: int) -> Iterator[Tensor]:
        """Yield about `num_images` of the first epoch's images, whole batches of `size`."""
        loader = self.loader
        available = min(num_images, len(loader.images)) // size
        together = max(1, min(CHUNK // size, available))
        chunks = Loader(
            loader.images, size * together, loader.seed, loader.augmentation, loader.standardise
        )
        epoch = chunks.epoch(0)
        for i in range(max(1, available // together)):
            yield epoch.batch(i)[0]

    def noise(self, batch_sizes: list[int], images: int, draws: int) -> Iterator[Task]:
        images = min(images, len(self.subject.images))
        for size in batch_sizes:
            if size <= len(self.subject.images):
                yield partial(self._noise_rows, size, images, draws)

    def _noise_rows(self, size: int, images: int, draws: int) -> list[Row]:
        found = spreads(self.subject, size, images, draws)
        count = {"images": images, "draws": draws}
        return [
            {"axis": "noise", "batch_size": size, "layer": layer, "spread": s, "size": m, **count}
            for layer, (s, m) in found.items()
        ]

    def layers(self, images: int) -> Iterator[Task]:
        """Yield how far running statistics are from those of so many training images."""
        yield partial(self._layer_rows, images)

    def _layer_rows(self, num_images: int) -> list[Row]:
        found = self._estimated(self.loader.batch_size, num_images)["precise"]
        return layer_rows(self.subject.network, found)

    def cost(self, steps: int) -> Iterator[Task]:
        yield partial(self._cost_rows, steps)

    def _cost_rows(self, steps: int) -> list[Row]:
        images = self.subject.images.images
        image = torch.zeros(1, 3, *images.shape[1:3], device=images.device)
        return [
            {
                "axis": "cost",
                "batch_size": self.loader.batch_size,
                "parameters": sum(p.numel() for p in self.subject.network.parameters()),
                "multiply_adds": multiply_adds(self.subject.network, image),
                **step_cost(self.step, steps, images.device),
            }
        ]


def row_of(axis: str, change: Change, statistics: Statistics) -> Row:
    """Return the keys of a row that tell what was changed and which statistics were used."""
    changed = {"axis": axis, "change": change.name, "level": change.level}
    return changed | {"statistics": statistics.name, "batch_size": statistics.batch_size}


def layer_rows(network: nn.Module, precise: Mapping[str, Moments]) -> list[Row]:
    """Return how far running statistics are from precise ones, a row for each layer."""
    layers = batch_layers(network)
    return [
        {"axis": "layers", "layer": name, **distance(layers[name], moments)}
        for name, moments in precise.items()
        if layers[name].running_mean is not None
    ]
