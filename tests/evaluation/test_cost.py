from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from normexp import build
from normexp.evaluation.cost import multiply_adds, step_cost
from normexp.runs.spec import RunSpec

Specs = Callable[..., RunSpec]
CPU = torch.device("cpu")


def test_multiply_adds_are_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 16·16 pixels · 8 · 3·3·3
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4),  # 8·8 · 8 · 2·3·3
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    expected = 16 * 16 * 8 * 27 + 8 * 8 * 8 * 18 + 512 * 10
    assert multiply_adds(network, torch.zeros(1, 3, 16, 16)) == expected
    assert not any(module._forward_hooks for module in network.modules())


def test_the_small_network_has_its_32_million(spec_of: Specs) -> None:
    network = build.network(spec_of("norm=none"), 10)
    # 3×3 convolutions on maps of 32, 16, 16, 8, 8 and 4 pixels, and a linear layer.
    shapes = [(32, 3, 32), (16, 32, 64), (16, 64, 64), (8, 64, 128), (8, 128, 128), (4, 128, 128)]
    expected = sum(9 * size**2 * i * o for size, i, o in shapes) + 128 * 10
    assert multiply_adds(network, torch.zeros(1, 3, 32, 32)) == expected
    assert 31e6 < expected < 32e6


def test_a_step_is_made_as_often_as_asked() -> None:
    made = []
    found = step_cost(lambda: made.append(1), 7, CPU)
    assert len(made) == 7
    assert found["step_seconds"] >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells it on Linux only")
def test_the_peak_is_what_a_step_holds_at_most_and_not_what_it_held_before() -> None:
    size = 32 * 2**20
    torch.ones(4 * size, dtype=torch.uint8)  # gone before the steps
    found = step_cost(lambda: discard(torch.ones(size, dtype=torch.uint8)), 3, CPU)["peak_memory"]
    if found is None:
        pytest.skip("this kernel does not tell")
    assert 0.8 * size < found < 1.5 * size


def discard(_: torch.Tensor) -> None:
    pass
