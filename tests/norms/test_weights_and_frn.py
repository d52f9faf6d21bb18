"""The norms that do without the mean of the activations: of the filters, and of their responses."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from timm.layers.filter_response_norm import FilterResponseNormAct2d, FilterResponseNormTlu2d
from timm.layers.std_conv import StdConv2d
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from normexp.norms.frn import FilterResponseNorm, ThresholdedFilterResponseNorm
from normexp.norms.mean_only import LEAST_VARIANCE, MeanOnlyBatchNorm
from normexp.norms.weight_norm import ScaleFromFirstBatch, use_unit_filters
from normexp.norms.weight_std import standardise_filters

torch.set_num_threads(1)

C = 5


def images(channels: int = C, num: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(14)
    return 0.5 + 2 * torch.randn(num, channels, 4, 6, generator=generator)


def a_conv() -> nn.Conv2d:
    conv = nn.Conv2d(3, C, 3, padding=1, bias=False)
    generator = torch.Generator().manual_seed(15)
    conv.weight.data = 0.3 + torch.randn(conv.weight.shape, generator=generator)
    return conv


def test_unit_filters_and_a_scale_are_torch_s_weight_norm() -> None:
    ours, torchs = a_conv(), a_conv()
    use_unit_filters(ours)
    parametrizations.weight_norm(torchs, dim=0)
    scale = ScaleFromFirstBatch(C).eval()
    length = torchs.get_parameter("parametrizations.weight.original0")
    scale.weight.data = length.detach().flatten()
    x = images(3)
    y, y_torch = scale(ours(x)), torchs(x)
    torch.testing.assert_close(y, y_torch, rtol=1e-4, atol=1e-4)
    for output in (y, y_torch):
        output.square().mean().backward()
    torch.testing.assert_close(
        ours.get_parameter("parametrizations.weight.original").grad,
        torchs.get_parameter("parametrizations.weight.original1").grad,
        rtol=1e-4,
        atol=1e-4,
    )
    assert length.grad is not None
    torch.testing.assert_close(scale.weight.grad, length.grad.flatten(), rtol=1e-4, atol=1e-4)


def test_unit_filters_have_length_1() -> None:
    conv = a_conv()
    use_unit_filters(conv)
    torch.testing.assert_close(conv.weight.flatten(1).norm(dim=1), torch.ones(C))


def test_the_first_batch_in_training_comes_out_with_mean_0_and_variance_1() -> None:
    layer = ScaleFromFirstBatch(C)
    assert torch.equal(layer.eval()(images()), images())
    first = layer.train()(images())
    torch.testing.assert_close(first.mean(dim=(0, 2, 3)), torch.zeros(C), rtol=0, atol=1e-5)
    torch.testing.assert_close(first.var(dim=(0, 2, 3), correction=0), torch.ones(C))
    weight = layer.weight.detach().clone()
    layer(3 * images())
    assert torch.equal(layer.weight.detach(), weight)


def test_the_first_pass_is_made_once_across_a_save_and_made_again_on_a_new_state() -> None:
    layer = ScaleFromFirstBatch(C).train()
    new = deepcopy(layer.state_dict())
    layer(images())
    resumed = ScaleFromFirstBatch(C).train()
    resumed.load_state_dict(layer.state_dict())
    resumed(3 * images())
    assert torch.equal(resumed.weight, layer.weight)
    network = nn.Sequential(layer)
    network.load_state_dict({f"0.{key}": value for key, value in new.items()})
    network(3 * images())
    torch.testing.assert_close(3 * layer.weight, resumed.weight)


def test_a_channel_without_spread_keeps_its_scale_and_shift() -> None:
    x = images()
    x[:, 1] = 0.3 + 1e-7 * x[:, 1].sign()  # all that varies is rounding
    x[:, 2] = 0.0
    layer = ScaleFromFirstBatch(C).train()
    y = layer(x)
    assert layer.weight[1:3].tolist() == [1, 1]
    assert layer.bias[1:3].tolist() == [0, 0]
    assert torch.equal(y[:, 1:3], x[:, 1:3])
    one_value = ScaleFromFirstBatch(C).train()
    assert torch.equal(one_value(x[:1, :, :1, :1]), x[:1, :, :1, :1])


def test_mean_only_batch_norm_starts_as_batch_norm_and_keeps_the_scale() -> None:
    layer = MeanOnlyBatchNorm(C, momentum=0.1)
    assert torch.equal(layer.eval()(images()), images())
    first, x = layer.train()(images()), images()
    torch.testing.assert_close(first, nn.BatchNorm2d(C, affine=False, eps=1e-12)(x))
    assert not layer.bias.any()
    torch.testing.assert_close(layer(3 * x + 1), 3 * first, rtol=1e-4, atol=1e-4)


def test_mean_only_batch_norm_keeps_the_scale_of_a_channel_without_spread() -> None:
    x = images()
    x[:, 1] = 0.3 + 1e-7 * x[:, 1].sign()  # all that varies is rounding
    x[:, 2] = 0.9 * LEAST_VARIANCE**0.5 * x[:, 2].sign()
    x[:, 3] = 1.1 * LEAST_VARIANCE**0.5 * x[:, 2].sign()
    layer = MeanOnlyBatchNorm(C, momentum=0.1).train()
    layer(x)
    assert layer.weight[1:3].tolist() == [1, 1]
    assert layer.weight[3] > 100


def test_standard_filters_are_timm_s_and_have_mean_0_and_standard_deviation_1() -> None:
    ours = a_conv()
    standardise_filters(ours, eps=1e-8)
    timms = StdConv2d(3, C, 3, padding=1, bias=False, eps=1e-8)
    timms.weight.data = a_conv().weight.data
    torch.testing.assert_close(ours(images(3)), timms(images(3)), rtol=1e-4, atol=1e-4)
    filters = ours.weight.flatten(1)
    torch.testing.assert_close(filters.mean(dim=1), torch.zeros(C), rtol=0, atol=1e-6)
    torch.testing.assert_close(filters.std(dim=1, correction=0), torch.ones(C))


def test_standard_filters_have_eps_beside_the_standard_deviation() -> None:
    conv, weight = a_conv(), a_conv().weight.detach().double()
    standardise_filters(conv, eps=0.5)
    for filter_, plain in zip(conv.weight, weight, strict=True):
        mean = plain.sum() / plain.numel()
        std = (((plain - mean) ** 2).sum() / plain.numel()) ** 0.5
        torch.testing.assert_close(
            filter_.double(), (plain - mean) / (std + 0.5), rtol=1e-5, atol=1e-5
        )


def test_filters_of_one_weight_cannot_be_standardised() -> None:
    with pytest.raises(ValueError, match="filters of one weight"):
        standardise_filters(nn.Conv2d(C, C, 1, groups=C), eps=1e-5)


def test_frn_is_timm_s() -> None:
    ours = ThresholdedFilterResponseNorm(C, eps=1e-5, learnable_eps=False)
    with_threshold = FilterResponseNormTlu2d(C)
    with_relu = FilterResponseNormAct2d(C)
    values = {"weight": torch.linspace(-1, 2, C), "bias": torch.linspace(-0.4, 0.6, C)}
    layers: list[nn.Module] = [ours, with_threshold, with_relu]
    for layer in layers:
        for name, value in values.items():
            layer.get_parameter(name).data = value.clone()
    torch.testing.assert_close(ours(images()), with_relu(images()))
    torch.testing.assert_close(ours(images()), with_threshold(images()))
    for threshold in (ours.threshold, with_threshold.get_parameter("tau")):
        threshold.data = torch.linspace(-0.5, 0.5, C)
    torch.testing.assert_close(ours(images()), with_threshold(images()))


def test_frn_before_an_addition_has_no_threshold() -> None:
    ours = FilterResponseNorm(C, eps=1e-5, learnable_eps=False)
    theirs = FilterResponseNormAct2d(C, apply_act=False)
    torch.testing.assert_close(ours(images()), theirs(images()))
    assert ours(images()).min() < 0


def test_frn_learns_its_eps_only_if_asked() -> None:
    fixed = ThresholdedFilterResponseNorm(C, eps=1e-6, learnable_eps=False)
    learned = ThresholdedFilterResponseNorm(C, eps=1e-4, learnable_eps=True)
    assert "eps" not in dict(fixed.named_parameters())
    assert "eps" in fixed.state_dict()
    one_pixel = 0.01 * images()[:, :, :1, :1]
    learned(one_pixel).sum().backward()
    assert learned.eps.grad is not None
    assert learned.eps.grad != 0
