from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from normexp.evaluation.features import feature_spread


def network(features: Tensor) -> nn.Module:
    """A network whose last linear layer sees these features, whatever the images."""

    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(features.shape[1], 2)

        def forward(self, _: Tensor) -> Tensor:
            return torch.as_tensor(self.linear(features))

    return Given()


def test_equal_features_have_no_spread_and_opposite_ones_one() -> None:
    images = torch.zeros(2, 3, 4, 4)
    assert feature_spread(network(torch.ones(2, 5)), images) == 0
    assert feature_spread(network(torch.tensor([[1.0], [-1.0]])), images) == pytest.approx(1)
    # Features 1 and 3: standard deviation 1, root mean square √5.
    assert feature_spread(network(torch.tensor([[1.0], [3.0]])), images) == pytest.approx(5**-0.5)


def test_without_a_linear_layer_there_is_none() -> None:
    assert feature_spread(nn.Conv2d(3, 2, 1), torch.zeros(2, 3, 4, 4)) is None


def test_the_network_stays_as_it_is() -> None:
    norm = nn.BatchNorm2d(3)
    whole = nn.Sequential(norm, nn.Flatten(), nn.Linear(48, 2)).eval()
    before = torch.random.get_rng_state()
    feature_spread(whole, torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert norm.num_batches_tracked == 0
    assert not whole.training
    assert torch.equal(torch.random.get_rng_state(), before)
