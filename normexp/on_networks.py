"""For networks in Python: swap their norms, recalibrate them, look at them through the lens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice

from torch import Tensor, nn

from normexp.analysis.lens.diagnosis import diagnosis
from normexp.contracts import LabelledImages, NormLayer
from normexp.evaluation import recalibration
from normexp.evaluation.checked import (
    checked_images,
    checked_labels,
    images_of,
    require_logits,
    require_within,
)
from normexp.evaluation.contrasts import Change, no_draws
from normexp.evaluation.lens import layer_rows, row_of
from normexp.evaluation.recalibration import precise
from normexp.evaluation.statistics import RUNNING, Statistics, fixed, mode_kept, of_batches
from normexp.evaluation.subject import Subject
from normexp.norms.found import make_sites
from normexp.norms.known import norms_of
from normexp.norms.placing import place_norms
from normexp.parts import shipped_norm
from normexp.precision import Precision
from normexp.runs.record import LensRow

BATCHES = 200
Batches = Iterable[Tensor | Sequence[Tensor]]
"""Images (N, 3, H, W), or pairs of images and labels, as a `DataLoader` yields them."""


def swap_norms(network: nn.Module, norm: str | NormLayer) -> list[str]:
    """Replace every norm of `network`, in place: batch, instance, group, layer norm and the like.

    `norm` is the name of a norm of normexp, such as "instance", "group", "both" or "batch_frozen",
    or a callable that takes the number of channels and returns a module that keeps the shape
    (N, C, H, W). Scale, shift and running statistics are carried over where they have a meaning;
    `recalibrate` estimates running statistics that start anew, as those of "group_batch". In
    training "renorm", "batch_frozen" and "both" need `after_step(progress)` of each module that has
    it, with the share of the training that is done, after each optimizer step. Parameters that are
    frozen (`requires_grad_(False)`), and the buffers of a `FrozenBatchNorm2d`, stay so.
    Returns the names of norms that stay because they have no map: on (N, C), on tokens, after the
    global pooling, or of maps of one size. Raises ValueError or UserError where the network has no
    norm, or a norm does not fit; it is then as it was.

        network = torchvision.models.resnet50(weights="DEFAULT")
        normexp.swap_norms(network, "group")
        normexp.swap_norms(network, functools.partial(nn.BatchNorm2d, momentum=0.01))
    """
    if isinstance(norm, nn.Module) or not (isinstance(norm, str) or callable(norm)):
        raise ValueError(
            f"norm of type {type(norm).__name__}: give a name, such as 'group', or the class, "
            "nn.BatchNorm2d, not a layer"
        )
    names = norms_of(network)
    if names == [""]:
        raise ValueError(
            f"the network, {type(network).__name__}, is itself a norm: put it into one, "
            "nn.Sequential(norm)"
        )
    parts = shipped_norm(norm) if isinstance(norm, str) else {"layer": norm}
    with ExitStack() as undo:
        for name in names:
            undo.callback(network.set_submodule, name, network.get_submodule(name))
        staying = make_sites(network)
        place_norms(network, **parts)
        undo.pop_all()
    return staying


def recalibrate(network: nn.Module, loader: Batches, batches: int = BATCHES) -> int:
    """Re-estimate the running statistics of batch norm, in place, over the first `batches`.

    `loader` yields training images float (N, 3, H, W), or (images, labels), standardised as the
    network takes them, on its device. The weights stay, and so does its mode. Returns the number of
    layers; raises ValueError where there is no batch, or one is something else.

        normexp.recalibrate(network, train_loader)
    """
    return recalibration.recalibrate(network, islice(map(images_of, loader), batches))


@dataclass(frozen=True)
class Findings:
    """What the lens found; printed, it is the diagnosis."""

    rows: tuple[LensRow, ...]
    """As `evaluation/lens.py` describes them, of the axes statistics, layers and contrast."""
    diagnosis: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.diagnosis)


def lens(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    loader: Batches | None = None,
    batch_size: int = 32,
) -> Findings:
    """Evaluate `network` in eval mode, with test-batch statistics, and at less contrast.

    Test `images` float (N, 3, H, W) are standardised as the network takes them, in an order without
    meaning, `labels` (N,) whole numbers. A `loader` of training batches, as for `recalibrate`, adds
    statistics that are re-estimated over 200 of them. `batch_size` is that of the training. The
    network stays as it is. Raises ValueError where images, labels or a batch are something else.

        print(normexp.lens(network, images, labels, train_loader))
    """
    images, labels = checked_images(images), checked_labels(labels)
    if len(images) != len(labels) or not len(images):
        raise ValueError(f"{len(images)} images and {len(labels)} labels: as many are needed")
    sizes = {size for size in (1, 2, 8, 32, 128, batch_size) if size <= len(images)}
    rows: list[LensRow] = []
    with mode_kept(network):
        network.eval()
        subject = Subject(
            network, LabelledImages(images, labels), _as_is, Precision("fp32", images.device), 0
        )
        require_within(labels, require_logits(network, images[:1]))
        if loader is not None:
            rows += _re_estimated(subject, loader)
        for statistics in (RUNNING, *map(of_batches, sorted(sizes))):
            rows.append(_plain_row(subject, statistics))
            rows += [_contrast_row(subject, statistics, share) for share in (1.0, 0.5, 0.15)]
    layers = {kind.__name__ for module in network.modules() for kind in type(module).__mro__}
    return Findings(tuple(rows), tuple(diagnosis(rows, batch_size, layers)))


def _re_estimated(subject: Subject, loader: Batches) -> Iterator[LensRow]:
    moments, size = precise(subject.network, islice(map(images_of, loader), BATCHES))
    yield _plain_row(subject, fixed("precise", moments, size))
    yield from layer_rows(subject.network, moments)


def _plain_row(subject: Subject, statistics: Statistics) -> LensRow:
    """Return the row of unchanged images, against running statistics."""
    change = _change(1.0)
    reference = subject.logits(RUNNING.in_chunks(statistics.chunk), change)
    found = subject.measures(subject.logits(statistics, change), reference)
    return row_of("statistics", change, statistics) | {"alpha": None} | found


def _contrast_row(subject: Subject, statistics: Statistics, share: float) -> LensRow:
    """Return the row of less contrast, against the unchanged images under the same statistics."""
    change = _change(share)
    reference = subject.logits(statistics, _change(1.0))
    found = subject.measures(subject.logits(statistics, change), reference)
    return row_of("contrast", change, statistics) | found


def _change(share: float) -> Change:
    """Return less contrast about each image's channel means, which standardised images have too."""
    name = "none" if share == 1 else "corruption"
    return Change(name, share, no_draws, partial(_about_mean, share=share))


def _about_mean(images: Tensor, _: Tensor, share: float) -> Tensor:
    mean = images.mean((2, 3), keepdim=True)
    return images if share == 1 else mean + share * (images - mean)


def _as_is(images: Tensor) -> Tensor:
    return images
