"""Running statistics after several batches, against their closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.reference import ghost_parts
from torch import Tensor, nn

from normexp.norms.batch_frozen import FrozenBatchNorm
from normexp.norms.batch_memory import batch_norm_with_memory
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.extended_batch import ExtendedBatchNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.ibn import IBN
from normexp.norms.mean import MeanNorm
from normexp.norms.mean_only import MeanOnlyBatchNorm
from normexp.norms.renorm import BatchRenorm
from normexp.norms.serial import SerialNorm
from normexp.norms.switchable import SwitchableNorm

torch.set_num_threads(1)

C, MOMENTUM = 6, 0.2
GHOST_SIZE = 4  # the reference's
COMMON = {"eps": 1e-5, "momentum": MOMENTUM}
RENORM = {"r_max": 3.0, "d_max": 5.0, "warmup_until": 0.0, "r_until": 0.1, "d_until": 0.1}
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: nn.BatchNorm2d(C, eps=1e-5, momentum=MOMENTUM),
    "gated": lambda: GatedNorm(C, **COMMON),
    "mean": lambda: MeanNorm(C, **COMMON),
    "mean_only": lambda: MeanOnlyBatchNorm(C, momentum=MOMENTUM),
    "serial": lambda: SerialNorm(C, **COMMON),
    "ibn": lambda: IBN(C, instance_fraction=0.5, **COMMON),
    "switchable": lambda: SwitchableNorm(C, **COMMON),
    "ghost": lambda: GhostBatchNorm(C, ghost_size=GHOST_SIZE, **COMMON),
    "evonorm_b0": lambda: EvoNormB0(C, **COMMON),
    "extended_batch": lambda: ExtendedBatchNorm(C, eps=1e-5, momentum=MOMENTUM),
    "batch_frozen": lambda: FrozenBatchNorm(C, frozen_from=0.5, **COMMON),
    "renorm": lambda: BatchRenorm(C, **RENORM, **COMMON),
}


def batches(batch_size: int, count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(4)
    shape = (batch_size, C, 3, 5)
    return [k + (1 + k) * torch.randn(shape, generator=generator) for k in range(count)]


def batch_norm_in(layer: nn.Module) -> nn.BatchNorm2d:
    """The one module with batch statistics, as a tool would find it."""
    (found,) = [m for m in layer.modules() if isinstance(m, nn.BatchNorm2d)]
    return found


def expected_statistics(name: str, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of one batch, in float64, as the layer stores them."""
    parts = ghost_parts(len(batch)) if name == "ghost" else [list(range(len(batch)))]
    mean = torch.zeros(C, dtype=torch.float64)
    variance = torch.zeros(C, dtype=torch.float64)
    for part in parts:
        for channel in range(C):
            values = batch[part, channel].double().flatten()
            part_mean = values.sum() / len(values)
            share = len(part) / len(batch)
            mean[channel] += share * part_mean
            variance[channel] += share * ((values - part_mean) ** 2).sum() / (len(values) - 1)
    return mean, variance


@pytest.mark.parametrize("batch_size", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("name", LAYERS)
def test_after_k_steps_they_are_the_weighted_sum_of_the_batches(name: str, batch_size: int) -> None:
    layer, data = LAYERS[name]().train(), batches(batch_size)
    for batch in data:
        layer(batch)
    mean, variance = torch.zeros(C).double(), torch.ones(C).double() * (1 - MOMENTUM) ** len(data)
    for steps_ago, batch in enumerate(reversed(data)):
        weight = MOMENTUM * (1 - MOMENTUM) ** steps_ago
        batch_mean, batch_variance = expected_statistics(name, batch)
        mean += weight * batch_mean
        variance += weight * batch_variance
    norm = batch_norm_in(layer)
    used = slice(C - norm.num_features, C)  # of IBN the last channels
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean.double(), mean[used], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_var.double(), variance[used], rtol=1e-5, atol=1e-5)
    assert norm.num_batches_tracked == len(data)


@pytest.mark.parametrize("name", LAYERS)
def test_without_a_momentum_they_are_the_mean_of_the_batches(name: str) -> None:
    layer, data = LAYERS[name]().train(), batches(8)
    norm = batch_norm_in(layer)
    norm.momentum = None
    norm.reset_running_stats()
    for batch in data:
        layer(batch)
    expected = torch.stack([expected_statistics(name, batch)[1] for batch in data]).mean(0)
    assert norm.running_var is not None
    torch.testing.assert_close(
        norm.running_var.double(), expected[C - norm.num_features :], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", LAYERS)
def test_evaluation_leaves_the_state_alone_and_no_image_depends_on_another(name: str) -> None:
    layer, data = LAYERS[name]().train(), batches(8)
    layer(data[0])
    layer.eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    together = layer(data[1])
    alone = torch.cat([layer(image[None]) for image in data[1]])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


@pytest.mark.parametrize("batch_size", [1, 32, 128, 512])
def test_batch_memory_forgets_as_much_an_image_at_every_batch_size(batch_size: int) -> None:
    norm = batch_norm_with_memory(
        C, eps=1e-5, momentum=0.1, batch_size=batch_size, reference_batch_size=128
    )
    images = 1024
    norm.train()
    norm.running_mean = torch.ones(C)
    for _ in range(images // batch_size):
        norm(torch.zeros(batch_size, C, 2, 1))
    torch.testing.assert_close(norm.running_mean, torch.full((C,), 0.9 ** (images / 128)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"batch_size": 0}, "batch_size=0"), ({"momentum": 1.5}, "momentum=1.5")],
)
def test_batch_memory_refuses_what_is_no_batch_or_no_weight(
    changed: dict[str, float], message: str
) -> None:
    settings = {"eps": 1e-5, "momentum": 0.1, "batch_size": 8, "reference_batch_size": 128}
    with pytest.raises(ValueError, match=message):
        batch_norm_with_memory(C, **{**settings, **changed})  # type: ignore[arg-type]
