from __future__ import annotations

import random

import pytest

from normexp.runs.bits import packed, unpacked


def test_the_first_value_is_the_highest_bit() -> None:
    assert packed([True] + [False] * 7) == "gA=="  # 0x80 in base64


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_what_is_packed_comes_back(count: int) -> None:
    values = [random.Random(count).random() < 0.5 for _ in range(count)]
    assert unpacked(packed(values), count) == values


def test_too_few_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="9 are needed"):
        unpacked(packed([True] * 8), 9)
