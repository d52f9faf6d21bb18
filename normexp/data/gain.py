"""Weak and strong images: a gain that belongs to the image, as if each had its own exposure."""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from normexp.contracts import DataSource, LabelledImages
from normexp.data.streams import stream


@lru_cache(maxsize=1)  # so that `split` is asked for the same again
def with_gains(source: DataSource, spread: float, seed: int) -> DataSource:
    """Give every image a gain, a function of the seed and its place in the training or test set.

    The gain is log-normal; `spread` is the standard deviation of its logarithm. Its mean square
    is 1, so that the spread of gains does not change the size of the inputs as a whole.
    """

    def gained(images: LabelledImages, half: str) -> LabelledImages:
        normal = torch.randn(len(images), generator=stream(seed, half, "gain"))
        return replace(images, gain=(spread * normal - spread**2).exp())

    return replace(
        source,
        train=gained(source.train, "train"),
        test=gained(source.test, "test"),
        val=None if source.val is None else gained(source.val, "val"),
    )


def amplified(images: Tensor, gain: Tensor | None) -> Tensor:
    """`images` (N, 3, H, W), standardised, times the `gain` (N,) of each, if they have one."""
    return images if gain is None else images * gain.view(-1, 1, 1, 1)
