from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from normexp.norms.gated import GatedNorm
from normexp.norms.mean import MeanNorm

torch.set_num_threads(1)

C = 6


def images(seed: int = 10) -> Tensor:
    return torch.randn(8, C, 4, 4, generator=torch.Generator().manual_seed(seed))


def gated(gate: float | list[float]) -> GatedNorm:
    layer = GatedNorm(C, eps=1e-5, momentum=0.1)
    layer.gate.data = torch.as_tensor(gate).expand(C).clone()
    return layer


def test_it_starts_as_batch_norm() -> None:
    layer, batch = GatedNorm(C, eps=1e-5, momentum=0.1), nn.BatchNorm2d(C)
    for training in (True, False):
        layer.train(training)
        batch.train(training)
        assert layer.gate.eq(1).all()
        torch.testing.assert_close(layer(images()), batch(images()))


def test_with_the_gate_at_0_it_is_instance_norm() -> None:
    torch.testing.assert_close(gated(0.0)(images()), nn.InstanceNorm2d(C)(images()))


def test_with_the_gate_at_a_half_it_is_the_mean() -> None:
    mean = MeanNorm(C, eps=1e-5, momentum=0.1)
    torch.testing.assert_close(gated(0.5)(images()), mean(images()))


def test_an_optimizer_moves_the_gate_and_it_stays_the_same_parameter_within_0_and_1() -> None:
    layer = gated([1.0, 1.0, 1.0, 0.0, 0.0, 0.5])
    gate, start = layer.gate, layer.gate.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    instance_target = nn.InstanceNorm2d(C)(images())
    for step in range(20):
        optimizer.zero_grad()
        (layer(images()) - instance_target).square().mean().backward()
        optimizer.step()
        layer.after_step((step + 1) / 20)
        assert layer.gate is gate
        assert layer.gate.min() >= 0
        assert layer.gate.max() <= 1
    assert any(p is gate for p in layer.parameters())
    assert (layer.gate[:3] < start[:3]).all()
    assert layer.readings()["gate"] == layer.gate.mean()


def test_after_a_step_the_gate_is_put_back_and_only_where_it_left() -> None:
    layer = gated([-0.2, 0.0, 0.3, 0.7, 1.0, 1.4])
    layer.after_step(0.5)
    assert torch.equal(layer.gate.detach(), torch.tensor([0.0, 0.0, 0.3, 0.7, 1.0, 1.0]))
    assert layer.gate.requires_grad


def test_under_bfloat16_the_gate_learns_from_the_difference_not_from_rounding() -> None:
    """For one image the two norms are the same, so the gate has nothing to learn."""
    layer = gated(0.5)
    with torch.autocast("cpu", torch.bfloat16):
        layer(images()[:1].bfloat16()).square().sum().backward()
    assert layer.gate.grad is not None
    assert layer.gate.grad.abs().max() < 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_a_map_of_one_pixel_is_refused(training: bool) -> None:
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        gated(1.0).train(training)(torch.ones(4, C, 1, 1))
