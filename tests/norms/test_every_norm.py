"""The contract of a norm layer, over every file in conf/norm."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import MissingMandatoryValue, OmegaConf
from torch import Tensor, nn

from normexp.contracts import FollowsSteps, HasReadings, ScalesLearningRate

torch.set_num_threads(1)

CONF = Path(__file__).parents[2] / "conf" / "norm"
TEMPLATES = {"custom", "own"}
NOISY = {"instance_noisy", "group_noisy"}  # that draw random numbers, in training
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem not in TEMPLATES)
PLACING = {"layer", "at", "conv", "activation", "init"}
# Those with another scale and shift, or none, as their papers have them.
OWN_AFFINE = {"instance_plain", "grn", "fixup"}
CONDITIONS = {"roles", "stages", "depth", "last_in_stage"}
C = 16


def load(name: str) -> dict[str, Any]:
    """The file's parts, made as the tool makes them; the main settings are those it may ask for."""
    config = OmegaConf.create({"batch_size": 8, "norm": OmegaConf.load(CONF / f"{name}.yaml")})
    parts: dict[str, Any] = instantiate(config.norm, _convert_="all")
    return parts


def layer_makers(*names: str) -> list[Any]:
    """Every layer that the files of these norms name: their own, and those for some places."""
    makers = []
    for name in sorted(names):
        parts = load(name)
        makers.append(pytest.param(parts["layer"], id=name))
        for place, rule in parts.get("at", {}).items():
            makers.append(pytest.param(rule["layer"], id=f"{name}.{place}"))
    return makers


LayerMaker = Callable[[int], nn.Module]
every_layer = pytest.mark.parametrize("make", layer_makers(*NAMES))


def images(seed: int = 8, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (1 + 2 * torch.randn(8, C, 4, 6, generator=generator)).to(dtype)


def trained(make: LayerMaker, steps: int = 3) -> nn.Module:
    layer = make(C).train()
    for step in range(steps):
        layer(images(step).requires_grad_()).square().mean().backward()
        for parameter in layer.parameters():
            assert parameter.grad is not None
            parameter.data.sub_(1e-3 * parameter.grad)
            parameter.grad = None
        if isinstance(layer, FollowsSteps):
            layer.after_step((step + 1) / steps)
    return layer


@pytest.mark.parametrize("name", NAMES)
def test_a_file_opens_with_a_sentence_and_has_no_unknown_key(name: str) -> None:
    first, second, *_ = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert len(first) > 20
    assert first.endswith((".", ")."))
    assert second == f"name: {name}"
    parts = load(name)
    assert parts.keys() - PLACING == {"name"}
    for rule in parts.get("at", {}).values():
        assert rule.keys() - CONDITIONS == {"layer"}


def test_the_template_for_a_norm_of_one_s_own_asks_for_its_class() -> None:
    config = OmegaConf.load(CONF / "custom.yaml")
    with pytest.raises(MissingMandatoryValue, match="_target_"):
        _ = config.layer["_target_"]
    config.layer["_target_"] = "torch.nn.BatchNorm2d"
    assert isinstance(instantiate(config).layer(C), nn.BatchNorm2d)


@every_layer
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_type_are_kept_and_gradients_are_finite(
    make: LayerMaker, training: bool, dtype: torch.dtype
) -> None:
    layer = make(C).train(training)
    x = images(dtype=dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = layer(x)
    assert y.shape == x.shape
    assert y.dtype == dtype
    y.square().sum().backward()
    for gradient in [x.grad, *(p.grad for p in layer.parameters())]:
        assert gradient is not None
        assert gradient.isfinite().all()


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_channels_last_changes_nothing(make: LayerMaker, training: bool) -> None:
    layers = [make(C).train(training) for _ in range(2)]
    formats = [torch.contiguous_format, torch.channels_last]
    results = []
    for layer, memory_format in zip(layers, formats, strict=True):
        x = images().to(memory_format=memory_format).requires_grad_()
        torch.manual_seed(0)
        y = layer(x)
        (y * images(9)).sum().backward()
        assert x.grad is not None
        results.append([y, x.grad, *(p.grad for p in layer.parameters()), *layer.buffers()])
    for plain, last in zip(*results, strict=True):
        torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", layer_makers(*(set(NAMES) - OWN_AFFINE)))
def test_every_channel_has_one_scale_of_1_and_one_shift_of_0(make: LayerMaker) -> None:
    parameters = dict(make(C).named_parameters())
    for kind, value in (("weight", 1.0), ("bias", 0.0)):
        found: list[Tensor] = [p for name, p in parameters.items() if name.split(".")[-1] == kind]
        everything = torch.cat(found)
        assert everything.shape == (C,)
        assert everything.dtype == torch.float32
        assert everything.eq(value).all()


@every_layer
def test_all_that_training_leaves_behind_is_in_the_state(make: LayerMaker) -> None:
    layer, copy = trained(make), make(C).train()
    copy.load_state_dict(layer.state_dict())
    for training in (True, False):
        outputs = []
        for either in (layer, copy):
            torch.manual_seed(0)
            outputs.append(either.train(training)(images(9)))
        assert torch.equal(*outputs)
    for key, value in layer.state_dict().items():
        assert torch.equal(value, copy.state_dict()[key]), key


@pytest.mark.parametrize("make", layer_makers(*(set(NAMES) - NOISY)))
def test_no_random_number_is_drawn(make: LayerMaker) -> None:
    before = torch.get_rng_state()
    trained(make)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("make", layer_makers(*NOISY))
def test_a_noisy_layer_draws_from_torch_s_generator_and_in_training_only(make: LayerMaker) -> None:
    before = torch.get_rng_state()
    layer = make(C).eval()
    layer(images())
    assert torch.equal(before, torch.get_rng_state())
    layer.train()(images())
    assert not torch.equal(before, torch.get_rng_state())
    outputs = []
    for _ in range(2):
        torch.manual_seed(0)
        outputs.append(layer(images()))
    assert torch.equal(*outputs)
    assert not torch.equal(outputs[0], layer(images()))


@every_layer
def test_a_layer_can_be_copied(make: LayerMaker) -> None:
    layer = trained(make).eval()
    assert torch.equal(deepcopy(layer)(images(9)), layer(images(9)))


@every_layer
def test_readings_are_scalars_and_factors_name_parameters(make: LayerMaker) -> None:
    layer = trained(make)
    if isinstance(layer, HasReadings):
        for value in layer.readings().values():
            assert value.shape == ()
            assert not value.requires_grad
    if isinstance(layer, ScalesLearningRate):
        assert layer.lr_factors.keys() <= dict(layer.named_parameters(recurse=False)).keys()


@pytest.mark.parametrize("name", [name for name in NAMES if "conv" in load(name)])
@pytest.mark.parametrize(
    "conv_settings", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 1, "stride": 2}]
)
def test_a_change_of_the_convolution_keeps_shapes_and_what_it_learns_from(
    name: str, conv_settings: dict[str, int]
) -> None:
    conv = nn.Conv2d(C, 4, bias=False, **conv_settings)  # type: ignore[arg-type]
    plain, start = conv(images()), conv.weight.detach().clone()
    load(name)["conv"](conv)
    y = conv(images())
    assert y.shape == plain.shape
    y.square().sum().backward()
    (weight,) = [p for p in conv.parameters() if p.shape == start.shape]
    assert torch.equal(weight, start)
    for learned in conv.parameters():
        assert learned.grad is not None
        assert learned.grad.isfinite().all()
