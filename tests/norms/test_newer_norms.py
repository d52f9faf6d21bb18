"""The norms after 2019 against timm and torchvision, and what their papers say of them."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from timm.layers.evo_norm import EvoNorm2dB0, EvoNorm2dS0
from timm.layers.grn import GlobalResponseNorm as TimmGlobalResponseNorm
from timm.layers.norm import RmsNorm2d
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.convnext import LayerNorm2d as TorchvisionLayerNorm2d
from torchvision.ops import FrozenBatchNorm2d

from normexp.norms.batch_frozen import FrozenBatchNorm
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.evonorm_s0 import EvoNormS0
from normexp.norms.extended_batch import ExtendedBatchNorm
from normexp.norms.grn import GlobalResponseNorm
from normexp.norms.group_batch import GroupBatchNorm
from normexp.norms.instance import PlainInstanceNorm
from normexp.norms.layer2d import LayerNorm2d
from normexp.norms.rms2d import RMSNorm2d

torch.set_num_threads(1)

C = 8


def images(seed: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 2 * torch.randn(6, C, 4, 5, generator=generator)


def with_values(layer: nn.Module) -> nn.Module:
    """The layer with other parameters than it starts with, the same for the same names."""
    for name, parameter in layer.named_parameters():
        generator = torch.Generator().manual_seed(len(name))
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (EvoNormB0(C, eps=1e-3, momentum=0.1), EvoNorm2dB0(C)),
        (EvoNormS0(C, num_groups=2, eps=1e-5), EvoNorm2dS0(C, groups=2)),
        (LayerNorm2d(C, eps=1e-6), TorchvisionLayerNorm2d(C, eps=1e-6)),
        (GlobalResponseNorm(C, eps=1e-6), TimmGlobalResponseNorm(C, channels_last=False)),
    ],
    ids=["evonorm_b0", "evonorm_s0", "layer2d", "grn"],
)
def test_a_layer_is_that_of_its_peer(ours: nn.Module, theirs: nn.Module) -> None:
    for layer in (ours, theirs):
        with_values(layer).train()
    for seed in range(3):
        torch.testing.assert_close(ours(images(seed)), theirs(images(seed)))
    for buffer, value in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(buffer), value)
    torch.testing.assert_close(ours.eval()(images()), theirs.eval()(images()))


def test_rms_norm_is_timm_s_with_a_shift() -> None:
    ours, theirs = with_values(RMSNorm2d(C, eps=1e-6)), with_values(RmsNorm2d(C, eps=1e-6))
    shift = ours.get_parameter("bias")[:, None, None]
    torch.testing.assert_close(ours(images()), theirs(images()) + shift)


def test_evonorm_without_an_activation_is_a_scale_and_a_shift_as_timm_has_it() -> None:
    """So our settings put a scale and a shift where no activation follows."""
    for layer in (EvoNorm2dB0(C, apply_act=False), EvoNorm2dS0(C, groups=2, apply_act=False)):
        assert torch.equal(layer(images()), images())


def test_group_norm_before_batch_norm_undoes_a_gain_of_each_image_and_still_sees_the_others() -> (
    None
):
    layer = GroupBatchNorm(C, num_groups=2, eps=1e-9, momentum=0.1).train()
    gains = torch.linspace(0.2, 5, 6)[:, None, None, None]
    torch.testing.assert_close(layer(gains * images()), layer(images()))
    others = torch.cat([images()[:1], images(1)[1:]])
    assert (layer(others)[0] - layer(images())[0]).abs().max() > 0.05
    assert (layer.eval()(images()) - layer.train()(images())).abs().max() > 0.05


def test_extended_batch_norm_keeps_the_spread_of_channels_apart() -> None:
    """Channels of unlike spread keep it, for one deviation divides them all."""
    spread = torch.linspace(0.5, 4, C)[:, None, None]
    x = spread * images()
    y = ExtendedBatchNorm(C, eps=0, momentum=0.1).train()(x)
    ratio = y.std(dim=(0, 2, 3)) / x.std(dim=(0, 2, 3))
    torch.testing.assert_close(ratio, ratio[:1].expand(C))
    torch.testing.assert_close(ratio[0], 1 / x.std(correction=0))
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(C), rtol=0, atol=1e-6)


def test_global_response_norm_starts_as_the_identity() -> None:
    assert torch.equal(GlobalResponseNorm(C, eps=1e-6)(images()), images())


def frozen_layer() -> FrozenBatchNorm:
    return FrozenBatchNorm(C, frozen_from=0.5, eps=1e-5, momentum=0.1).train()


def test_batch_norm_is_batch_norm_until_its_share_of_the_training_then_frozen() -> None:
    layer, batch_norm = frozen_layer(), nn.BatchNorm2d(C).train()
    for step in range(1, 11):
        y = layer(images(step))
        if step <= 5:  # the statistics are frozen after the fifth of ten steps
            assert torch.equal(y, batch_norm(images(step)))
        layer.after_step(step / 10)
        assert layer.running_mean is not None
        assert torch.equal(layer.running_mean, torch.as_tensor(batch_norm.running_mean))
        assert torch.equal(
            torch.as_tensor(layer.running_var), torch.as_tensor(batch_norm.running_var)
        )
    assert layer.num_batches_tracked == 5


def test_once_frozen_training_is_evaluation_and_torchvision_s_frozen_batch_norm() -> None:
    layer = frozen_layer()
    for step in range(3):
        layer(images(step))
    layer.after_step(0.49)
    assert not torch.equal(layer(images()), deepcopy(layer).eval()(images()))
    layer.after_step(0.5)
    assert torch.equal(layer(images()), deepcopy(layer).eval()(images()))
    theirs = FrozenBatchNorm2d(C)
    state = {name: theirs.get_buffer(name) for name, _ in theirs.named_buffers()}
    theirs.load_state_dict({name: layer.state_dict()[name] for name in state})
    torch.testing.assert_close(layer(images()), theirs(images()))


def test_scale_and_shift_learn_on_when_the_statistics_are_frozen() -> None:
    layer = frozen_layer()
    layer.after_step(0.5)
    layer(images()).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in layer.parameters())


def test_a_state_says_whether_the_statistics_are_frozen() -> None:
    young, old = frozen_layer(), frozen_layer()
    old.after_step(0.9)
    resumed = frozen_layer()
    for source, is_frozen in ((old, True), (young, False)):
        nn.Sequential(resumed).load_state_dict(nn.Sequential(source).state_dict())
        before = torch.as_tensor(resumed.running_mean).clone()
        resumed(images())
        assert torch.equal(torch.as_tensor(resumed.running_mean), before) == is_frozen


@pytest.mark.parametrize("frozen_from", [1, -0.5, 2])
def test_a_share_outside_the_training_is_refused(frozen_from: float) -> None:
    with pytest.raises(ValueError, match=f"frozen_from={frozen_from}"):
        FrozenBatchNorm(C, frozen_from=frozen_from, eps=1e-5, momentum=0.1)


@pytest.mark.parametrize("num_groups", [0, 3])
def test_groups_that_do_not_divide_the_channels_are_refused(num_groups: int) -> None:
    for make in (
        lambda: EvoNormS0(C, num_groups=num_groups, eps=1e-5),
        lambda: GroupBatchNorm(C, num_groups=num_groups, eps=1e-5, momentum=0.1),
    ):
        with pytest.raises(ValueError, match=f"num_groups={num_groups} does not divide 8"):
            make()


def test_torch_takes_statistics_of_bfloat16_in_bfloat16_and_we_do_not() -> None:
    """The reason why plain instance norm has a class of its own."""
    x = (100 + images()).bfloat16()
    expected = F.instance_norm(x.double())
    ours = PlainInstanceNorm(C, eps=1e-5)(x)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.double(), expected, rtol=2**-7, atol=2**-7)
