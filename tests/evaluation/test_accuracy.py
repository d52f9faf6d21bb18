from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from normexp.contracts import LabelledImages
from normexp.data.standardise import ByDataset
from normexp.evaluation.accuracy import Evaluator
from normexp.precision import Precision

NUM_CLASSES = 4
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
EVALUATOR = Evaluator(
    ByDataset(torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)),
    Precision("fp32", torch.device("cpu")),
)


def linear_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 2, NUM_CLASSES))


def some_images(number: int) -> LabelledImages:
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randint(0, 256, (number, 2, 2, 3), generator=generator).to(torch.uint8)
    return LabelledImages(pixels, torch.randint(0, NUM_CLASSES, (number,), generator=generator))


def by_hand(network: nn.Sequential, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Loss and accuracy in numpy's float64; `images` uint8 (N, H, W, 3)."""
    linear = network[1]
    assert isinstance(linear, nn.Linear)
    weight, bias = (p.detach().double().numpy() for p in (linear.weight, linear.bias))
    standard = (images / 255.0 - np.array(MEAN)) / np.array(STD)
    logits = standard.transpose(0, 3, 1, 2).reshape(len(images), -1) @ weight.T + bias
    of_label = logits[np.arange(len(labels)), labels]
    losses = np.log(np.exp(logits).sum(1)) - of_label
    return losses.mean(), (logits.argmax(1) == labels).mean()


@pytest.mark.parametrize("number", [1, 40, 250, 777])  # 250 are evaluated at a time
def test_the_score_is_the_one_computed_by_hand(number: int) -> None:
    network, images = linear_network(), some_images(number)

    score = EVALUATOR.score(network, images)

    loss, accuracy = by_hand(network, images.images.numpy(), images.labels.numpy())
    assert score.loss == pytest.approx(loss, rel=1e-5)
    assert score.accuracy == pytest.approx(accuracy, abs=1e-12)


def test_the_score_is_that_of_the_changed_images() -> None:
    network, images = linear_network(), some_images(300)

    score = EVALUATOR.score(network, replace(images, images=255 - images.images))

    loss, accuracy = by_hand(network, 255 - images.images.numpy(), images.labels.numpy())
    assert score.loss == pytest.approx(loss, rel=1e-5)
    assert score.accuracy == pytest.approx(accuracy, abs=1e-12)


def test_contrast_accuracy_is_the_accuracy_at_each_severity() -> None:
    network, images = linear_network(), some_images(300)

    found = EVALUATOR.contrast_accuracy(network, images)

    shares = {"1": 0.75, "2": 0.5, "3": 0.4, "4": 0.3, "5": 0.15}
    assert found.keys() == shares.keys()
    for severity, share in shares.items():
        x = images.images.numpy() / 255.0
        mean = x.mean((1, 2), keepdims=True)
        changed = (((x - mean) * share + mean) * 255).astype(np.uint8)
        _, accuracy = by_hand(network, changed, images.labels.numpy())
        assert found[severity] == pytest.approx(accuracy, abs=1e-12)
    assert len(set(found.values())) > 1


class ModeRecorder(nn.Module):
    """The logits are 0, and whether it was training, and with gradients, is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_grad_enabled()))
        return images.new_zeros(len(images), NUM_CLASSES)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_scored_in_eval_mode_and_left_in_the_mode_it_had(training: bool) -> None:
    network = nn.Sequential(ModeRecorder()).train(training)

    score = EVALUATOR.score(network, some_images(300))

    recorder = network[0]
    assert isinstance(recorder, ModeRecorder)
    assert set(recorder.seen) == {(False, False)}
    assert network.training is training
    assert recorder.training is training
    assert score.loss == pytest.approx(np.log(NUM_CLASSES))


def test_scoring_changes_no_weight_and_no_running_statistic() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, NUM_CLASSES))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    EVALUATOR.score(network, some_images(20))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_part_that_is_kept_in_evaluation_stays_so() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 2)).train()
    network[1].eval()
    images = LabelledImages(torch.zeros(4, 2, 2, 3, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    Evaluator(lambda x: x, Precision("fp32", torch.device("cpu"))).score(network, images)
    assert [module.training for module in network] == [True, False, True]
