"""Our SGD is torch's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from normexp.engine.sgd import SGD


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(36, 5)
    )


def trained(algorithm: Any, memory_format: torch.memory_format, **how: Any) -> list[Tensor]:
    """Return parameters and momenta after steps with one learning rate each."""
    net = network().to(memory_format=memory_format)
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = algorithm(groups, lr=0.1, **how)
    for step in range(5):
        optimizer.zero_grad()
        images = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        net(images).square().sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.001 * (step + 1)
        if step == 3:  # a checkpoint
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        optimizer.step()
    momenta = [optimizer.state[p].get("momentum_buffer") for p in [*weights, *others]]
    return [*net.parameters(), *(m for m in momenta if m is not None)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("how", [{"momentum": 0.9, "nesterov": n} for n in (True, False)])
def test_it_is_bit_for_bit_torchs(how: dict[str, Any], memory_format: torch.memory_format) -> None:
    ours = trained(SGD, memory_format, **how)
    theirs = trained(torch.optim.SGD, memory_format, fused=True, **how)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    plain = trained(torch.optim.SGD, memory_format, fused=False, foreach=False, **how)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def test_without_momentum_it_is_the_plain_step() -> None:
    ours = trained(SGD, torch.channels_last, momentum=0.0, nesterov=False)
    plain = trained(torch.optim.SGD, torch.channels_last, foreach=False)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def test_a_gradient_laid_out_otherwise_is_taken_by_its_places() -> None:
    """torch's own fused step (2.15) pairs numbers by their order in memory here."""
    weight = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    optimizer = SGD([weight], 0.1, momentum=0.9, nesterov=False)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    before, gradient = weight.detach().clone(), torch.randn(4, 3, 2, 2)
    weight.grad = gradient  # not channels last
    optimizer.step()
    torch.testing.assert_close(weight.detach(), before - 0.1 * gradient)


def test_a_parameter_without_gradient_stays() -> None:
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = SGD([used, unused], 0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        optimizer.zero_grad()
        assert used.grad is None
        used.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert torch.equal(unused.detach(), torch.ones(3))
    assert (used < 0.9).all()
