from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.needs import NEED_RESIDUAL_BRANCHES
from helpers.short import in_short
from torch import Tensor, nn

from normexp import build
from normexp.contracts import LabelledImages
from normexp.evaluation.accuracy import Evaluator
from normexp.evaluation.modes import mode_gap
from normexp.evaluation.statistics import (
    RUNNING,
    Statistics,
    batch_layers,
    estimate,
    fixed,
    given,
    mixed,
    of_batches,
)
from normexp.evaluation.subject import Subject
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.renorm import BatchRenorm
from normexp.norms.switchable import SwitchableNorm
from normexp.precision import Precision
from normexp.runs.spec import RunSpec
from normexp.runs.tested import ModeGap

Specs = Callable[..., RunSpec]
assert_close = partial(torch.testing.assert_close, check_dtype=False)

NORMS = sorted({path.stem for path in Path(build.conf_dir(), "norm").glob("*.yaml")} - {"own"})
NUM_IMAGES = 12


def images(number: int, channels: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.rand(number, channels, 1, 1, generator=generator) + 0.5
    return scales * torch.randn(number, channels, size, size, generator=generator) + scales**2


def settled(network: nn.Module) -> nn.Module:
    """The network with weights and running statistics of its own."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.ndim == 1 and tensor.is_floating_point() and "gate" not in name:
            tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
        if "gate" in name:
            tensor.data.fill_(0.5)
    return network.eval()


def network_of(spec_of: Specs, norm: str) -> nn.Module:
    custom = ["norm.layer._target_=torch.nn.BatchNorm2d"] if norm == "custom" else []
    model = ["model.network.widths=[16,16,16,16,16,16]"]
    if norm in NEED_RESIDUAL_BRANCHES:
        model = ["model=resnet20", "model.network.width=8"]
    spec = spec_of(f"norm={norm}", "data=generated", *model, *custom)
    return settled(build.network(spec, 10))


def subject(network: nn.Module, number: int = NUM_IMAGES, size: int = 16) -> Subject:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (number, size, size, 3), generator=generator)
    labels = torch.randint(0, 10, (number,), generator=generator)
    some = LabelledImages(pixels.to(torch.uint8), labels)
    precision = Precision("fp32", torch.device("cpu"))
    return Subject(network, some, lambda x: (x - 0.5) / 0.25, precision, seed=0)


def every_choice(network: nn.Module) -> list[Statistics]:
    found = estimate(network, [images(8, size=16), images(8, size=16, seed=3)], size=4)
    estimated = [fixed(name, moments, 4) for name, moments in found.items()]
    return [of_batches(1), of_batches(2), of_batches(5), of_batches(300), mixed(0.3), *estimated]


# What has batch statistics changes, and nothing else does.


@pytest.mark.parametrize(
    "norm",
    ["instance", "layer", "group", "none", "frn", "weight_std", "dyt", "evonorm_s0", "fixup"],
)
def test_without_batch_statistics_no_choice_changes_a_bit(norm: str, spec_of: Specs) -> None:
    network = network_of(spec_of, norm)
    of = subject(network)
    for choice in every_choice(network):
        assert torch.equal(of.logits(choice), of.logits(RUNNING.in_chunks(choice.chunk)))
        found = of.measures(of.logits(choice), of.logits(RUNNING.in_chunks(choice.chunk)))
        assert (found["drift"], found["largest"], found["changed"]) == (0, 0, 0)


@pytest.mark.parametrize(
    "norm",
    [
        *("batch", "both", "split", "ghost", "renorm", "switchable", "mean", "by_depth", "custom"),
        *("evonorm_b0", "extended_batch", "group_batch", "batch_frozen"),
    ],
)
def test_every_choice_changes_what_has_batch_statistics(norm: str, spec_of: Specs) -> None:
    network = network_of(spec_of, norm)
    of = subject(network)
    for choice in every_choice(network):
        assert (of.logits(choice) - of.logits(RUNNING)).abs().max() > 1e-3, choice.name


@pytest.mark.parametrize("norm", in_short(NORMS))
def test_the_model_is_afterwards_what_it_was_before(norm: str, spec_of: Specs) -> None:
    network = network_of(spec_of, norm)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    attributes = [sorted(vars(module)) for module in network.modules()]
    for choice in every_choice(network):
        subject(network).logits(choice)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [sorted(vars(module)) for module in network.modules()] == attributes
    assert not any(module.training for module in network.modules())


def test_the_model_is_what_it_was_when_a_layer_refuses() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.InstanceNorm2d(3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="spatial"), of_batches(2).use(network):
        network.eval()(torch.randn(4, 3, 1, 1))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not [module for module in network.modules() if "forward" in vars(module)]


class Wrapped(nn.Module):
    """A user's norm that holds torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(2 * self.inner(x) + 1)


# What the choices are.


def test_the_batch_s_own_statistics_are_those_of_training_mode() -> None:
    x = images(8)
    for make in (lambda: nn.BatchNorm2d(3), Wrapped):
        norm = settled(make())
        with of_batches(4).use(norm):
            own = norm(x)
        parts = torch.cat([norm.train()(part) for part in torch.split(x, 4)])
        torch.testing.assert_close(own, parts, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "norm",
    [
        SwitchableNorm(3, eps=1e-5, momentum=0.1),
        GhostBatchNorm(3, ghost_size=4, eps=1e-5, momentum=0.1),
    ],
)
def test_so_they_are_for_layers_that_compute_their_statistics_themselves(norm: nn.Module) -> None:
    x = images(8)
    with of_batches(4).use(settled(norm)):
        own = norm(x)
    parts = torch.cat([norm.train()(part) for part in torch.split(x, 4)])
    torch.testing.assert_close(own, parts, atol=1e-5, rtol=1e-5)


def test_batch_norm_of_one_image_is_instance_norm_with_the_same_weights() -> None:
    norm = settled(nn.BatchNorm2d(5))
    instance = nn.InstanceNorm2d(5, affine=True)
    instance.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    x = images(6, channels=5)
    with of_batches(1).use(norm):
        torch.testing.assert_close(norm(x), instance(x), atol=1e-5, rtol=1e-5)


def test_a_network_of_batch_norm_with_batches_of_one_is_one_of_instance_norm(
    spec_of: Specs,
) -> None:
    batch = network_of(spec_of, "batch")
    instance = network_of(spec_of, "instance")
    instance.load_state_dict(batch.state_dict(), strict=False)
    expected = subject(instance).logits(RUNNING)
    torch.testing.assert_close(subject(batch).logits(of_batches(1)), expected, atol=1e-4, rtol=1e-4)


def test_a_mix_has_means_and_variances_in_between() -> None:
    norm = settled(nn.BatchNorm2d(3)).double()
    x = images(4).double()
    running_mean, running_var = norm.running_mean, norm.running_var
    assert isinstance(running_mean, Tensor)
    assert isinstance(running_var, Tensor)
    mean = 0.3 * x.mean((2, 3), keepdim=True) + 0.7 * running_mean.view(1, 3, 1, 1)
    own = x.var((2, 3), correction=0, keepdim=True)
    variance = 0.3 * own + 0.7 * running_var.view(1, 3, 1, 1)
    weight, bias = (p.detach().view(1, 3, 1, 1) for p in norm.parameters())
    expected = weight * (x - mean) / (variance + 1e-5).sqrt() + bias
    with mixed(0.3).use(norm):
        torch.testing.assert_close(norm(x), expected)


def test_precise_statistics_are_the_closed_form_on_a_fixed_set() -> None:
    # The population's moments do not depend on the batches.
    x = images(24)
    for size, chunk in ((1, 6), (3, 3), (8, 24), (24, 24)):
        found = estimate(nn.BatchNorm2d(3), torch.split(x, chunk), size)
        mean, variance = found["precise"][""]
        assert_close(mean, x.mean((0, 2, 3)))
        assert_close(variance, x.var((0, 2, 3), correction=0))


def test_a_layer_that_is_called_twice_is_counted_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.norm(x) + self.norm(2 * x))

    x = images(8)
    mean, variance = estimate(Twice(), [x], size=4)["precise"]["norm"]
    both = torch.cat([x, 2 * x])
    assert_close(mean, both.mean((0, 2, 3)))
    assert_close(variance, both.var((0, 2, 3), correction=0))


def test_cumulative_statistics_are_those_of_momentum_none() -> None:
    x = images(24)
    norm = nn.BatchNorm2d(3, momentum=None)
    for part in torch.split(x, 4):
        norm(part)
    mean, variance = estimate(nn.BatchNorm2d(3), torch.split(x, 8), size=4)["cumulative"][""]
    assert_close(mean, norm.running_mean)
    assert_close(variance, norm.running_var)


def test_deeper_layers_are_estimated_on_what_the_batches_make_of_those_before() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x = images(8)
    with torch.no_grad():
        before = network[1](torch.cat([nn.BatchNorm2d(3)(part) for part in torch.split(x, 4)]))
    mean, variance = estimate(network, [x], size=4)["precise"]["2"]
    assert_close(mean, before.mean((0, 2, 3)))
    assert_close(variance, before.var((0, 2, 3), correction=0))


def test_given_moments_are_used_in_the_place_of_running_ones() -> None:
    norm = nn.BatchNorm2d(3, affine=False).eval()
    x = images(2)
    with given(norm, {"": (torch.ones(3), torch.full((3,), 4.0))}):
        torch.testing.assert_close(norm(x), (x - 1) / 2, atol=1e-4, rtol=1e-4)


def test_batch_layers_are_found_inside_any_norm() -> None:
    network = nn.Sequential(Wrapped(), nn.InstanceNorm2d(3), renorm(3))
    assert list(batch_layers(network)) == ["0.inner", "2"]


def renorm(channels: int) -> nn.Module:
    limits = {"r_max": 3.0, "d_max": 5.0, "warmup_until": 0.1, "r_until": 0.5, "d_until": 0.5}
    return BatchRenorm(channels, **limits, eps=1e-5, momentum=0.1)


# The short form, at the end of every run.


def gap(network: nn.Module, batch_size: int, size: int = 16) -> ModeGap:
    of = subject(network, size=size)
    return mode_gap(Evaluator(of.standardise, of.precision), network, of.images, batch_size)


def test_the_gap_between_the_modes_is_the_one_of_the_modes(spec_of: Specs) -> None:
    network = network_of(spec_of, "batch")
    found = gap(network, batch_size=4)
    of = subject(network)
    evaluated = of.logits(RUNNING)
    x = (of.images.images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.no_grad():
        trained = torch.cat([network.train()(part) for part in torch.split(x, 4)])
    labels = of.images.labels
    right = [(logits.argmax(1) == labels).float().mean() for logits in (trained, evaluated)]
    assert found.accuracy == pytest.approx(float(right[0] - right[1]))
    assert found.largest == pytest.approx(float((trained - evaluated).abs().max()), rel=1e-3)


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
@pytest.mark.parametrize("batch_size", [1, 5, 4000])
def test_there_is_no_gap_without_batch_statistics(
    norm: str, batch_size: int, spec_of: Specs
) -> None:
    found = gap(network_of(spec_of, norm), batch_size)
    assert (found.accuracy, found.largest) == (0, 0)


def test_batches_of_one_image_at_maps_of_one_pixel_have_a_gap_too() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 10)).train()
    assert (gap(network, batch_size=1, size=1).largest or 0) > 0
    assert network.training


# Nothing is computed twice, and parts together are the parts alone.


def test_a_network_without_batch_statistics_is_evaluated_once_for_all_of_them(
    spec_of: Specs,
) -> None:
    network, seen = network_of(spec_of, "instance"), []
    network.register_forward_hook(lambda *_: seen.append(1))
    of = subject(network)
    for choice in (RUNNING, of_batches(2), mixed(0.3)):
        of.logits(choice)
    assert len(seen) == 1


class Shifted(nn.BatchNorm2d):
    """A user's, with a formula of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


def test_a_layer_with_another_formula_keeps_it_where_the_first_part_is_batch_norm_s() -> None:
    layer = SwitchableNorm(3).eval()
    x = images(4)
    x[0] = 0  # for one image of a constant, all statistics are the same
    with torch.no_grad():
        with of_batches(1).use(layer):
            found = layer(x)
        alone = []
        for part in torch.split(x, 1):
            with of_batches(1).use(layer):
                alone.append(layer(part))
    assert_close(found, torch.cat(alone))


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("affine", [True, False])
def test_parts_are_evaluated_as_each_alone_by_the_layers_own_formula(
    size: int, affine: bool
) -> None:
    plain, shifted = nn.BatchNorm2d(3, affine=affine), Shifted(3, affine=affine)
    settled(plain)
    settled(shifted)
    x = images(8).contiguous(memory_format=torch.channels_last)
    with of_batches(size).use(plain), of_batches(size).use(shifted):
        found, moved = plain(x), shifted(x)
    weight, bias = plain.weight, plain.bias
    parts = torch.split(x, size)
    alone = [nn.functional.batch_norm(p, None, None, weight, bias, True) for p in parts]
    assert_close(found, torch.cat(alone), rtol=1e-5, atol=1e-5)
    assert_close(moved, found + 1, rtol=1e-5, atol=1e-5)
