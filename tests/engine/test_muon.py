"""Muon against the singular value decomposition, and its SGD against torch's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from normexp.engine.muon import Muon, newton_schulz

HOW: dict[str, Any] = {"momentum": 0.6, "ns_steps": 3, "sgd_factor": 5.0, "sgd_momentum": 0.85}


def matrix(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shape", [(16, 144), (64, 64), (64, 27)])
def test_singular_values_become_about_1_and_their_vectors_stay(
    shape: tuple[int, int], size: float
) -> None:
    u, s, vt = torch.linalg.svd(matrix(*shape), full_matrices=False)
    large = s > s.norm() / 50
    assert large.float().mean() > 0.8
    turned = u.T @ newton_schulz(size * matrix(*shape), steps=3) @ vt.T
    values = turned.diagonal()[large]
    assert values.min() > 0.65
    assert values.max() < 1.25
    assert (turned - turned.diagonal().diag()).abs().max() < 0.05  # bfloat16


def test_nothing_stays_nothing() -> None:
    assert torch.equal(newton_schulz(torch.zeros(4, 9), steps=3), torch.zeros(4, 9))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_changes_by_the_learning_rate_whatever_the_gradient_is(
    layout: torch.memory_format,
) -> None:
    start = matrix(8, 4 * 9).view(8, 4, 3, 3)
    for size in (1e-4, 1e4):
        weight = nn.Parameter(start.clone(memory_format=layout))
        optimizer = Muon([weight], 0.1, **HOW)
        gradient = size * matrix(8, 36).flip(0).view(8, 4, 3, 3)
        weight.grad = gradient.contiguous(memory_format=layout)
        optimizer.step()
        at_its_size = start * 8**0.5 / start.norm()
        u, _, vt = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
        change = (at_its_size - weight.detach()).flatten(1)
        # By lr along each pair of singular vectors, as near as the iteration comes.
        along = (u.T @ change @ vt.T).diagonal() / 0.1
        assert along.min() > 0.65
        assert along.max() < 1.25
        assert 0.65 * 0.1 * 8**0.5 < change.norm() < 1.25 * 0.1 * 8**0.5


def test_momentum_is_nesterovs() -> None:
    """Of gradients along one pair of singular vectors, only the sign of their sum shows."""
    weight = nn.Parameter(torch.zeros(2, 1, 2, 2))
    weight.data[0, 0, 0, 0] = 1.0
    optimizer = Muon([weight], 0.1, **HOW)
    one = torch.zeros(2, 1, 2, 2)
    one[1, 0, 0, 0] = 1.0
    moved = []
    for factor in (1.0, -0.5, -0.02):
        before = weight.detach()[1, 0, 0, 0] * 2**0.5 / weight.detach().norm()
        weight.grad = factor * one
        optimizer.step()
        moved.append((weight.detach()[1, 0, 0, 0] - before).sign().item())
    # m = 0.6·m + g is 1, 0.1 and 0.04; the steps go against g + 0.6·m: 1.6, -0.44 and 0.004.
    assert moved == [-1, 1, -1]


def trained(make: Any, steps: int, resumed: bool = False) -> list[Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(72, 5)
    )
    optimizer = make(net)
    for step in range(steps):
        optimizer.zero_grad()
        images = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        net(images).square().mean().backward()
        if resumed and step == 2:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        optimizer.step()
    return [p.detach() for p in net.parameters()]


def groups(net: nn.Module, *dims: int) -> list[dict[str, Any]]:
    """The parameters of so many dimensions; weights decay."""
    return [
        {"params": [p for p in net.parameters() if p.ndim == n], "weight_decay": 0.01 * (n > 1)}
        for n in dims
    ]


def muon(net: nn.Module) -> Muon:
    return Muon(groups(net, 4, 2, 1), 0.02, **HOW)


def test_what_is_no_convolution_moves_as_by_torchs_sgd() -> None:
    def ours(net: nn.Module) -> Muon:
        return Muon(groups(net, 2, 1), 0.02, **HOW)

    def theirs(net: nn.Module) -> torch.optim.SGD:
        return torch.optim.SGD(groups(net, 2, 1), lr=0.1, momentum=0.85, nesterov=True)

    torch.testing.assert_close(trained(ours, 4), trained(theirs, 4), rtol=1e-4, atol=1e-6)


def test_it_goes_on_from_a_checkpoint_to_the_bit() -> None:
    straight, resumed = trained(muon, 5), trained(muon, 5, resumed=True)
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


@pytest.mark.parametrize(
    "change", [{"momentum": 1.0}, {"sgd_momentum": -0.1}, {"sgd_factor": -1.0}, {"ns_steps": 0}]
)
def test_a_setting_out_of_its_range_is_refused(change: dict[str, float]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"^{name}={value}: .* is needed"):
        Muon([nn.Parameter(torch.ones(2))], 0.1, **{**HOW, **change})


def test_a_parameter_without_gradient_stays_and_a_closure_is_refused() -> None:
    weight = nn.Parameter(torch.ones(2, 3, 3, 3))
    optimizer = Muon([weight], 0.1, **HOW)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(2, 3, 3, 3))
    with pytest.raises(ValueError, match="takes no closure"):
        optimizer.step(lambda: 0.0)
