from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from normexp.contracts import LabelledImages
from normexp.evaluation.noise import LOGITS, norm_layers, spreads
from normexp.evaluation.subject import Subject
from normexp.norms.gated import GatedNorm
from normexp.precision import Precision


class Pooled(nn.Module):
    """A norm, then the mean of each channel."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.norm(x).mean((2, 3)))


def subject(norm: nn.Module, pixels: Tensor) -> Subject:
    images = LabelledImages(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    return Subject(
        Pooled(norm), images, lambda x: x, Precision("fp32", torch.device("cpu")), seed=0
    )


def noise(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    low = torch.randint(0, 200, (number, 1, 1, 3), generator=generator)
    return (low + torch.randint(0, 56, (number, 4, 4, 3), generator=generator)).to(torch.uint8)


def test_the_spread_is_the_one_over_all_pairs_when_every_mate_is_as_likely() -> None:
    # Three images: image 0 has one of two mates, so its logits have one of two values.
    pixels = noise(3)
    x = pixels.permute(0, 3, 1, 2) / 255.0
    answers = [
        nn.BatchNorm2d(3, affine=False).double()(x[[0, mate]].double())[0].mean((1, 2))
        for mate in (1, 2)
    ]
    draws = 2000
    found = spreads(subject(nn.BatchNorm2d(3, affine=False), pixels), 2, 1, draws)
    # Two values, each with probability 1/2: the standard deviation is half their distance.
    expected = ((answers[0] - answers[1]) / 2).square().mean().sqrt().item()
    spread, size = found[LOGITS]
    assert spread == pytest.approx(expected, rel=0.02)
    assert size == pytest.approx(torch.stack(answers).square().mean().sqrt().item(), rel=0.05)


def test_the_image_is_never_its_own_mate_and_no_mate_comes_twice() -> None:
    # With all the others as mates there is one batch, in another order.
    found = spreads(subject(nn.BatchNorm2d(3), noise(6)), 6, 3, 20)
    assert found[LOGITS][0] < 1e-6


def test_larger_batches_are_less_noisy() -> None:
    of = subject(nn.BatchNorm2d(3), noise(300))
    by_size = [spreads(of, size, 4, 64)[LOGITS][0] for size in (2, 8, 32, 128)]
    assert by_size == sorted(by_size, reverse=True)
    assert by_size[0] > 4 * by_size[-1]


@pytest.mark.parametrize("size", [2, 7, 32])
@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), nn.Identity()])
def test_without_batch_statistics_there_is_no_noise_at_all(norm: nn.Module, size: int) -> None:
    assert spreads(subject(norm, noise(40)), size, 2, 16)[LOGITS][0] == 0


def test_each_norm_has_a_spread_of_its_own() -> None:
    norm = GatedNorm(3, eps=1e-5, momentum=0.1)
    found = spreads(subject(norm, noise(40)), 4, 2, 16)
    assert list(found) == ["norm", LOGITS]
    assert found["norm"][0] > 0
    norm.gate.data.fill_(0)  # all instance norm
    assert spreads(subject(norm, noise(40)), 4, 2, 16)["norm"][0] == 0


def test_a_norm_is_what_lies_around_a_batch_norm_without_a_convolution() -> None:
    block = nn.Sequential(nn.Conv2d(3, 4, 3), GatedNorm(4, eps=1e-5, momentum=0.1), nn.ReLU())
    network = nn.Sequential(block, nn.BatchNorm2d(4), nn.InstanceNorm2d(4))
    assert norm_layers(network) == ["0.1", "1"]
