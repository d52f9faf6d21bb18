"""Networks in Python: their mode, their running statistics, and what a lens row is against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

import normexp
from normexp.norms.batch_frozen import FrozenBatchNorm


def network(**of_norm: bool) -> nn.Sequential:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, **of_norm)
    head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, *head)


def breaking() -> Iterator[Tensor]:
    yield torch.randn(4, 3, 8, 8)
    raise OSError("of a test")


def test_the_mode_stays_also_where_the_loader_breaks() -> None:
    net = network().train()
    net[0].eval()
    with pytest.raises(OSError, match="of a test"):
        normexp.recalibrate(net, breaking())
    with pytest.raises(OSError, match="of a test"):
        normexp.lens(net, torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]), breaking())
    assert [module.training for module in net] == [False] + [True] * 5


def test_layers_without_running_statistics_are_not_counted() -> None:
    batches = [torch.randn(4, 3, 8, 8) for _ in range(2)]
    assert normexp.recalibrate(network(), batches) == 1
    assert normexp.recalibrate(network(track_running_stats=False), batches) == 0
    with pytest.raises(ValueError, match="no batch"):
        normexp.recalibrate(network(), [])


def test_a_layer_that_trains_with_other_statistics_is_not_said_to_train_with_these() -> None:
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 3
    net = network().eval()
    assert "in training" in str(normexp.lens(net, images, labels))
    net[1] = FrozenBatchNorm(4).eval()
    assert "in training" not in str(normexp.lens(net, images, labels))


def test_less_contrast_is_measured_against_the_unchanged_images() -> None:
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 3
    rows = normexp.lens(network().eval(), images, labels).rows
    running = [r for r in rows if (r["axis"], r["statistics"]) == ("contrast", "running")]
    drifts = {row["level"]: row["drift"] for row in running}
    assert drifts[1.0] == 0
    assert isinstance(drifts[0.15], float)
    assert drifts[0.15] > 0.01


IMAGES, LABELS = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
NO_IMAGES = [
    (IMAGES.numpy(), r"images of type ndarray: a tensor is needed; torch\.as_tensor"),
    ((255 * IMAGES).byte(), r"images uint8 \(4, 3, 8, 8\): float .*; divide them by 255"),
    (IMAGES.permute(0, 2, 3, 1), r"images float32 \(4, 8, 8, 3\): .*; \.permute\(0, 3, 1, 2\)"),
    (IMAGES[0], r"images float32 \(3, 8, 8\): .*; a batch has four dimensions"),
]


@pytest.mark.parametrize(("images", "words"), NO_IMAGES)
def test_images_of_another_kind_are_refused_with_the_remedy(images: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normexp.lens(network(), images, LABELS)
    for batch in (images, (images, LABELS)):
        with pytest.raises(ValueError, match=words):
            normexp.recalibrate(network(), [batch])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 2, 0], r"labels of type list: a tensor is needed; torch\.as_tensor makes it"),
        (LABELS.numpy(), "labels of type ndarray: a tensor is needed"),
        (LABELS.float(), r"labels float32 \(4,\): whole numbers .*; \.long\(\) makes them whole$"),
        (torch.eye(4)[:, :3], r"labels float32 \(4, 3\): .*; \.argmax\(1\) .* one-hot labels$"),
        (LABELS.to(torch.complex64), r"labels complex64 \(4,\): whole numbers"),
        (LABELS[:, None], r"labels int64 \(4, 1\): .*; \.flatten\(\)"),
        (LABELS + 1, "labels from 1 to 3: 0 to 2 are needed, .* has 3 outputs; subtract 1"),
        (LABELS - 100, "labels from -100 to -98: 0 to 2 are needed, .* has 3 outputs$"),
    ],
)
def test_labels_of_another_kind_are_refused_with_the_remedy(labels: Any, words: str) -> None:
    net = network().train()
    with pytest.raises(ValueError, match=words):
        normexp.lens(net, IMAGES, labels)
    assert net.training


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (nn.Flatten(0), r"the network returns float32 \(3,\), and logits \(N, K\) are needed"),
        (nn.Unflatten(1, (3, 1, 1)), r"the network returns float32 \(1, 3, 1, 1\), and logits"),
        (nn.GRU(3, 2), "the network returns tuple, and logits"),
    ],
)
def test_a_network_without_logits_is_refused(last: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normexp.lens(nn.Sequential(network(), last), IMAGES, LABELS)


def test_grey_images_of_three_columns_are_images() -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4))
    assert normexp.recalibrate(grey, [torch.randn(4, 1, 8, 3)]) == 1


def test_an_empty_batch_is_told() -> None:
    with pytest.raises(ValueError, match="a batch of the loader is empty"):
        normexp.recalibrate(network(), [[]])


def test_what_was_frozen_is_frozen_in_the_new_norm() -> None:
    for frozen in (FrozenBatchNorm2d(4), nn.BatchNorm2d(4).requires_grad_(False)):
        net = network()
        net[1] = frozen
        normexp.swap_norms(net, "instance")
        assert not any(parameter.requires_grad for parameter in net[1].parameters())
        assert net[0].weight.requires_grad


def test_whole_labels_of_any_type_are_taken() -> None:
    of_long, of_int = (normexp.lens(network(), IMAGES, y).rows for y in (LABELS, LABELS.int()))
    assert of_long == of_int


def test_batches_with_keys_are_refused_with_them() -> None:
    words = r"the keys image, label: .*\(batch\['image'\] for batch in loader\)"
    loader: Any = [{"image": IMAGES, "label": LABELS}]
    with pytest.raises(ValueError, match=words):
        normexp.recalibrate(network(), loader)
    with pytest.raises(ValueError, match=words):
        normexp.lens(network(), IMAGES, LABELS, loader)
