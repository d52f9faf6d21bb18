"""What is measured of a layer, where a formula says what it must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from normexp.contracts import NormLayer
from normexp.evaluation.probe import (
    CHANGES,
    NUM_CHANNELS,
    SAME,
    Draw,
    NormProbe,
    deviation,
    explained,
    probe,
    probe_filters,
)
from normexp.norms.frn import FilterResponseNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.group import GroupNorm
from normexp.norms.mean import MeanNorm
from normexp.norms.mean_only import MeanOnlyBatchNorm
from normexp.norms.noisy import NoisyNorm
from normexp.norms.renorm import BatchRenorm
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.serial import SerialNorm
from normexp.norms.switchable import SwitchableNorm
from normexp.norms.weight_norm import ScaleFromFirstBatch, use_unit_filters
from normexp.norms.weight_std import standardise_filters

C = NUM_CHANNELS
RUNNING: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1}
LIMITS: dict[str, Any] = {"r_max": 3, "d_max": 5, "warmup_until": 0.1, "r_until": 1, "d_until": 1}
LAYERS: dict[str, NormLayer] = {
    "none": ScaleShift,
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(GroupNorm, num_groups=1, eps=1e-5),
    "group": partial(GroupNorm, num_groups=8, eps=1e-5),
    "group of one": partial(GroupNorm, num_groups=C, eps=1e-5),
    "frn": partial(FilterResponseNorm, eps=1e-6, learnable_eps=False),
    "serial": partial(SerialNorm, **RUNNING),
    "mean": partial(MeanNorm, **RUNNING),
    "gated": partial(GatedNorm, **RUNNING),
    "switchable": partial(SwitchableNorm, **RUNNING),
    "ghost": partial(GhostBatchNorm, ghost_size=4, **RUNNING),
    "ghost of one": partial(GhostBatchNorm, ghost_size=1, **RUNNING),
    "renorm": partial(BatchRenorm, **LIMITS, **RUNNING),
    "weight": ScaleFromFirstBatch,
    "mean only": partial(MeanOnlyBatchNorm, momentum=0.1),
    "noisy instance": partial(
        NoisyNorm, norm_layer=partial(nn.InstanceNorm2d, affine=True), ghost_size=16
    ),
}
OF_ONE_IMAGE = ("none", "instance", "layer", "group", "group of one", "frn", "weight")
RUNNING_MEAN = ("batch", "gated", "mean", "switchable", "ghost", "mean only")


@cache
def probe_of(name: str) -> NormProbe:
    return probe(LAYERS[name], batch_size=12, seed=1)


def invariances(name: str) -> set[str]:
    """The changes that a layer undoes in both modes; none undoes one in a single mode."""
    undone = [{k for k, v in probe_of(name).changes.items() if v[mode] < SAME} for mode in (0, 1)]
    assert undone[0] == undone[1]
    return undone[0]


# Against changes of each image.


@pytest.mark.parametrize(
    ("name", "undone"),
    [
        ("none", set()),
        ("weight", set()),
        ("batch", set()),
        ("ghost", set()),
        ("mean only", set()),
        ("noisy instance", {"gain", "channel_gain", "shift", "contrast"}),
        ("mean", set()),
        ("switchable", set()),
        ("instance", {"gain", "channel_gain", "shift", "contrast"}),
        ("serial", {"gain", "channel_gain", "shift", "contrast"}),
        ("group of one", {"gain", "channel_gain", "shift", "contrast"}),
        ("layer", {"gain"}),
        ("group", {"gain"}),
        ("frn", {"gain", "channel_gain"}),
    ],
)
def test_what_a_layer_undoes(name: str, undone: set[str]) -> None:
    assert invariances(name) == undone
    kept = [max(v) for k, v in probe_of(name).changes.items() if k not in undone]
    assert min(kept, default=1) > 0.1  # far above the limit, so no matter of eps


@pytest.mark.parametrize(("name", "dims"), [("gain", (1, 2, 3)), ("channel_gain", (2, 3))])
def test_a_gain_is_one_factor_for_each_image_or_channel(name: str, dims: tuple[int, ...]) -> None:
    x = Draw(0).images(5)
    factor = CHANGES[name](x, Draw(2)) / x
    torch.testing.assert_close(factor, factor.mean(dims, keepdim=True).expand_as(x))
    each = factor.amax(dims).flatten()
    assert len(set(each.tolist())) == len(each)
    assert each.min() > 0.49
    assert each.max() < 2.01


def test_contrast_is_a_factor_for_each_image_about_the_mean_of_each_channel() -> None:
    x = Draw(0).images(5)
    mean = x.mean((2, 3), keepdim=True)
    y = CHANGES["contrast"](x, Draw(2))
    factor = (y - mean) / (x - mean)
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(x), rtol=1e-6, atol=0)
    torch.testing.assert_close(y.mean((2, 3), keepdim=True), mean)
    assert factor[:, 0, 0, 0].std() > 0.1


def test_a_shift_is_a_constant_for_each_image_and_channel() -> None:
    x = Draw(0).images(5)
    shift = CHANGES["shift"](x, Draw(2)) - x
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(x))
    assert shift.std() > 0.5


# Other images, and the mode.


@pytest.mark.parametrize("name", OF_ONE_IMAGE)
def test_norms_of_one_image_depend_on_no_other_and_on_no_mode(name: str) -> None:
    found = probe_of(name)
    assert (found.other_images, found.other_images_gradient, found.mode) == ((0, 0), 0, 0)


@pytest.mark.parametrize("name", RUNNING_MEAN)
def test_batch_statistics_depend_on_the_other_images_in_training_only(name: str) -> None:
    found = probe_of(name)
    assert found.other_images[0] > 0.1
    assert found.other_images[1] == 0
    assert found.other_images_gradient > 0.01
    assert found.mode > 0.1


def test_the_gradient_that_batch_norm_sends_to_the_other_images() -> None:
    """The output of one of N images is weighted by random w of mean 1 and variance 1.

    Batch norm's gradient is (w − mean(w) − x̂·mean(w·x̂))/σ, w being 0 for the other images and the
    means over the batch: 1/N, and k/N with the image's mean k of x̂, whose variance over images is
    v = 0.25/1.3 here. So a pixel of another image has (1 + v)/N² in the square, one of the image
    w² = 2.
    """
    num, v = 12, 0.25 / 1.3
    expected = sqrt((num - 1) / num**2 * (1 + v) / 2)
    assert probe_of("batch").other_images_gradient == pytest.approx(expected, rel=0.15)


def test_batch_renorm_within_its_limits_depends_on_the_other_images_in_its_gradient_only() -> None:
    found = probe_of("renorm")
    assert max(found.other_images) < 1e-9
    assert found.mode < 1e-9
    assert found.other_images_gradient == pytest.approx(
        probe_of("batch").other_images_gradient, rel=0.2
    )
    assert found.equals is None


def test_noise_without_neighbours_changes_training_alone() -> None:
    found = probe_of("noisy instance")
    assert (found.other_images, found.other_images_gradient) == ((0, 0), 0)
    assert found.mode > 0.1
    assert found.equals is None


def test_ghosts_of_one_image_are_instance_norm_in_training_alone() -> None:
    found = probe_of("ghost of one")
    assert found.other_images == (0, 0)
    assert found.mode > 0.1
    assert found.changes["contrast"][0] < SAME < found.changes["contrast"][1]
    assert found.equals is None


# Which norm it is.


@pytest.mark.parametrize(
    ("name", "equals"),
    [
        ("none", "a scale and a shift"),
        ("weight", "a scale and a shift"),
        ("batch", "batch norm"),
        ("gated", "batch norm"),  # its gate starts there
        ("instance", "instance norm"),
        ("serial", "instance norm"),
        ("group of one", "instance norm"),
        ("layer", "layer norm"),
        *((name, None) for name in ("group", "frn", "mean", "switchable", "ghost", "mean only")),
    ],
)
def test_a_layer_is_recognised_by_what_it_does(name: str, equals: str | None) -> None:
    assert probe_of(name).equals == equals


def test_a_scale_and_a_shift_of_each_channel_do_not_make_it_another_norm() -> None:
    class Scaled(nn.InstanceNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 - super().forward(x) * torch.linspace(0.1, 3, C)[:, None, None]

    assert probe(Scaled, batch_size=4, seed=0).equals == "instance norm"


# The identity.


@pytest.mark.parametrize(
    ("name", "r2"),
    [
        ("none", (1, 1)),
        ("weight", (1, 1)),
        ("renorm", (1, 1)),
        ("batch", (None, 1)),
        ("mean only", (None, 1)),
    ],
)
def test_layers_that_can_be_the_identity(name: str, r2: tuple[float | None, float]) -> None:
    for found, expected in zip(probe_of(name).identity, r2, strict=True):
        assert found == pytest.approx(expected, abs=1e-12) if expected else found < 0.999


def test_r2_by_instance_norm_is_its_closed_form() -> None:
    """x = m + s·z with z of mean 0 and variance 1: the best scale is mean(s), the shift mean(m)."""
    x = Draw(3).images(40)
    y = nn.InstanceNorm2d(C, eps=0).double()(x)
    pixels = x.numpy()
    m, s = pixels.mean((2, 3)), pixels.std((2, 3))  # (N, C)
    closed = (s.mean(0) ** 2).sum() / (m.var(0) + (s**2).mean(0)).sum()
    assert explained(x, y) == pytest.approx(closed, rel=1e-9)


def test_r2_is_that_of_a_fit_by_least_squares() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 6, 3, 4, 4))
    y += x
    residual = total = 0.0
    for c in range(3):
        target, design = x[:, c].ravel(), np.stack([y[:, c].ravel(), np.ones(96)], axis=1)
        _, error, *_ = np.linalg.lstsq(design, target)
        residual, total = residual + error[0], total + target.var() * 96
    assert explained(torch.tensor(x), torch.tensor(y)) == pytest.approx(1 - residual / total)


@pytest.mark.parametrize("name", ["instance", "serial"])
def test_instance_norm_cannot_be_the_identity(name: str) -> None:
    """Var(m) is 0.25, s² log-uniform from 1/2 to 2, and 36 pixels blur both a little."""
    mean_s, mean_s2 = (sqrt(2) - sqrt(0.5)) / log(2), 1.5 / (2 * log(2))
    closed = (mean_s * (1 - 3 / (4 * 36))) ** 2 / (0.25 + mean_s2)
    for r2 in probe_of(name).identity:
        assert r2 == pytest.approx(closed, abs=0.03)


# Small batches, small maps.


@pytest.mark.parametrize("name", ["batch", "ghost", "gated"])
def test_batch_norm_of_one_image_is_instance_norm_in_training(name: str) -> None:
    assert probe_of(name).one_image == ("instance norm", "works")


@pytest.mark.parametrize("name", ["instance", "serial", "mean", "gated"])
def test_instance_norm_refuses_maps_of_one_pixel(name: str) -> None:
    for answer in probe_of(name).one_pixel:
        assert answer.startswith("refuses (Expected more than 1 spatial element")


def test_what_is_left_on_maps_of_one_pixel() -> None:
    assert probe_of("batch").one_pixel == ("works", "works")
    assert probe_of("layer").one_pixel == ("works", "works")
    assert probe_of("frn").one_pixel == ("sign only", "sign only")  # x/√x²
    groups = probe(lambda num: nn.GroupNorm(num, num), batch_size=4, seed=0)
    assert groups.one_pixel == ("constant", "constant")


# Parameters.


@pytest.mark.parametrize("name", LAYERS)
def test_parameters_are_counted_for_each_channel(name: str) -> None:
    extra = {"gated": 1.0, "switchable": 6 / C}  # a gate; two times three logits a layer
    assert sum(probe_of(name).parameters.values()) == pytest.approx(2 + extra.get(name, 0.0))


# Convolutions.


@pytest.mark.parametrize(
    ("change", "sees_gain", "sees_shift"),
    [
        (lambda conv: None, True, True),
        (use_unit_filters, False, True),
        (partial(standardise_filters, eps=1e-5), False, False),
    ],
)
def test_what_a_changed_convolution_sees_of_its_filters(
    change: Callable[[nn.Conv2d], None], sees_gain: bool, sees_shift: bool
) -> None:
    gain, shift = probe_filters(change, seed=0)
    assert (gain > 0.1, shift > 0.1) == (sees_gain, sees_shift)
    assert (gain < SAME, shift < SAME) == (not sees_gain, not sees_shift)


# The measuring itself.


def test_a_deviation_is_the_largest_difference_over_the_root_mean_square() -> None:
    assert deviation(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 5.0])) == pytest.approx(
        1 / sqrt((9 + 16) / 2)
    )


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    first, again, other = (probe(nn.BatchNorm2d, 4, seed) for seed in (0, 0, 1))
    assert first == again
    assert first.changes != other.changes


def test_no_random_number_of_torch_is_used_up() -> None:
    before = torch.get_rng_state()
    probe(lambda _: nn.Sequential(nn.Dropout(0.5)), batch_size=4, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_a_layer_that_draws_is_compared_with_the_same_draws() -> None:
    found = probe(lambda _: nn.Dropout(0.5), batch_size=4, seed=0)
    assert found.other_images == (0, 0)
    assert found.mode > 0.1


@pytest.mark.parametrize(
    "layer",
    [lambda _: nn.AdaptiveAvgPool2d(1), lambda _: nn.Flatten(), lambda n: nn.Conv2d(n, 1, 1)],
)
def test_what_is_no_norm_layer_is_refused(layer: NormLayer) -> None:
    with pytest.raises(ValueError, match=r"turns \(4, 32, 6, 6\).*keeps shape and type"):
        probe(layer, batch_size=4, seed=0)
