from __future__ import annotations

import pytest
import torch

from normexp.contracts import LabelledImages
from normexp.data.contrast import ContrastJitter
from normexp.data.loader import Augmentation, Loader
from normexp.data.standardise import ByImage

IMAGES = torch.randint(0, 256, (600, 16, 16, 3), generator=torch.Generator().manual_seed(0))


def loader(batch_size: int) -> Loader:
    images = LabelledImages(IMAGES.byte(), torch.arange(600) % 10)
    augmentation = Augmentation(crop=2, flip=True, contrast=ContrastJitter(0.5, 1.5))
    return Loader(images, batch_size, 3, augmentation, ByImage())


@pytest.mark.parametrize("number", [0, 5])
def test_order_crops_flips_and_contrast_are_the_same_for_every_batch_size(number: int) -> None:
    first = torch.cat([loader(1).epoch(number).images(i) for i in range(512)])
    for batch_size in (4, 32, 128, 512):
        epoch = loader(batch_size).epoch(number)
        images = torch.cat([epoch.images(i) for i in range(512 // batch_size)])
        assert torch.equal(images, first), batch_size
