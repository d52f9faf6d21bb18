"""Families of torchvision and timm: each with other norms learns three steps, and the lens runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

import normexp

NORMS = ("batch", "instance", "group", "both")
SIZE = 96
"""Pixels: the smallest at which no last map is 1×1, where instance norm is not defined."""
FAMILIES: Mapping[str, Mapping[str, object]] = {
    "resnet18": {},
    "vgg11_bn": {},
    "mobilenet_v3_small": {},
    "efficientnet_b0": {},
    "densenet121": {},
    "regnet_y_400mf": {},
    "convnext_tiny": {},
    "resnext50_32x4d": {},
    "shufflenet_v2_x0_5": {},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
OF_TIMM = ("convnext_atto", "densenet121", "efficientnet_b0", "inception_v3", "resnext50_32x4d")
IN_SHORT = ("resnet18", "shufflenet_v2_x0_5")
CASES = [
    pytest.param(name, norm, marks=() if name in IN_SHORT and norm != "both" else pytest.mark.slow)
    for name in FAMILIES
    for norm in NORMS
]


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_a_family_of_torchvision_learns_with_another_norm_and_is_seen(name: str, norm: str) -> None:
    torch.manual_seed(0)
    network = models.get_model(name, num_classes=4, **FAMILIES[name])
    learns_and_is_seen(network, norm, size_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "group", "both"])
@pytest.mark.parametrize("name", OF_TIMM)
def test_a_family_of_timm_learns_with_another_norm_and_is_seen(name: str, norm: str) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    learns_and_is_seen(timm.create_model(name, num_classes=4), norm, size_of(name))


def size_of(name: str) -> int:
    return SIZE if name != "inception_v3" else 160


def learns_and_is_seen(network: nn.Module, norm: str, size: int) -> None:
    normexp.swap_norms(network, norm)
    images = torch.randn(4, 3, size, size)
    labels = torch.arange(4)
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(network.train()(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert isfinite(loss.item())
    assert any(not torch.equal(value, before[key]) for key, value in network.named_parameters())
    seen = normexp.lens(network, images, labels, [images], batch_size=2)
    assert any("eval" in line or "No layer" in line for line in seen.diagnosis)
