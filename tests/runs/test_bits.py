from __future__ import annotations

import random
from base64 import b64decode

import numpy as np
import pytest

from normexp.runs.bits import packed


def test_the_first_value_is_the_highest_bit() -> None:
    assert packed([True] + [False] * 7) == "gA=="  # 0x80 in base64


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_numpy_reads_what_is_packed(count: int) -> None:
    values = [random.Random(count).random() < 0.5 for _ in range(count)]
    read = np.unpackbits(np.frombuffer(b64decode(packed(values)), np.uint8), count=count)
    assert read.astype(bool).tolist() == values
