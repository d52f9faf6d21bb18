"""The images of a `RunSpec`, what standardises them, and its training batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from normexp.errors import UserError
from normexp.parts import make
from normexp.runs.source import search_own
from normexp.runs.spec import DataSpec, RunSpec

if TYPE_CHECKING:  # torch takes seconds to import, and a finished run needs none of it
    from torch import Tensor

    from normexp.contracts import DataSource, LabelledImages
    from normexp.data.loader import Loader
    from normexp.data.split import Split
    from normexp.data.standardise import Standardise


_sources: dict[str, DataSource] = {}
"""What this process has read, by its part: runs of one sweep share one copy."""


def images(spec: RunSpec) -> Split:
    from normexp.contracts import DataSource
    from normexp.data.gain import with_gains
    from normexp.data.split import split

    key = repr(spec.data.source)
    if key in _sources:
        search_own(spec.data.source)  # it refuses a part that has changed since, as `make` does
    else:
        made = make(spec.data.source, "data.source")
        if not isinstance(made, DataSource):
            raise UserError(f"data.source: {type(made).__name__} is no DataSource")
        _sources[key] = made
    source = _sources[key]
    if spec.data.gain_spread is not None:
        source = with_gains(source, spec.data.gain_spread, spec.seed)
    return split(source, spec.data.limit, spec.data.val_fraction)


def standardiser(data: DataSpec, train: LabelledImages) -> Standardise:
    """Return what standardises images, measured on the training images."""
    from normexp.data import standardise

    given = None if data.mean is None or data.std is None else (data.mean, data.std)
    if given is None and (data.mean or data.std):
        raise UserError("data.mean and data.std go together: give both, or neither")
    if given and data.standardise != "dataset":
        raise UserError("data.mean and data.std are for data.standardise=dataset; leave them out")
    return standardise.standardiser(data.standardise, train.images, data.red_scale, given)


def loader(spec: RunSpec, train: LabelledImages, standardise: Standardise) -> Loader:
    from normexp.contracts import Contrast
    from normexp.data.loader import Augmentation, Loader

    contrast = make(spec.contrast.augmentation, "contrast.augmentation")
    if not isinstance(contrast, Contrast):
        raise UserError(
            f"contrast.augmentation: {type(contrast).__name__} is no Contrast; it needs draw() and "
            "to be called with images"
        )
    augmentation = Augmentation(spec.data.crop, spec.data.flip, contrast)
    return Loader(train, spec.batch_size, spec.seed, augmentation, standardise)


def first_batches(loader: Loader, number: int) -> Iterator[Tensor]:
    """Yield the images of the first `number` training batches, or of an epoch if it has fewer."""
    epoch = loader.epoch(0)
    for i in range(min(number, loader.batches_per_epoch)):
        yield epoch.batch(i)[0]
