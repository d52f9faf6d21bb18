"""Forward and backward of every layer against its formula in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers import reference as ref
from torch import Tensor, nn

from normexp.norms.batch_frozen import FrozenBatchNorm
from normexp.norms.derf import DynamicErf
from normexp.norms.dyt import DynamicTanh
from normexp.norms.evonorm_b0 import EvoNormB0
from normexp.norms.evonorm_s0 import EvoNormS0
from normexp.norms.extended_batch import ExtendedBatchNorm
from normexp.norms.fixup import FixupScale
from normexp.norms.frn import ThresholdedFilterResponseNorm
from normexp.norms.gated import GatedNorm
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.grn import GlobalResponseNorm
from normexp.norms.group import GroupNorm
from normexp.norms.group_batch import GroupBatchNorm
from normexp.norms.ibn import IBN
from normexp.norms.instance import PlainInstanceNorm
from normexp.norms.layer2d import LayerNorm2d
from normexp.norms.mean import MeanNorm
from normexp.norms.mean_only import MeanOnlyBatchNorm
from normexp.norms.renorm import BatchRenorm
from normexp.norms.rms2d import RMSNorm2d
from normexp.norms.scale_shift import ScaleShift
from normexp.norms.serial import SerialNorm
from normexp.norms.skipinit import SkipInit
from normexp.norms.switchable import SwitchableNorm

torch.set_num_threads(1)

EPS = ref.EPS
C = 6
RENORM_SETTINGS = {
    "r_max": ref.R_MAX,
    "d_max": ref.D_MAX,
    "warmup_until": ref.WARMUP_UNTIL,
    "r_until": ref.R_UNTIL,
    "d_until": ref.D_UNTIL,
}


def after_its_first_batch() -> nn.Module:
    """Mean-only batch norm, which takes no more scales from its input."""
    layer = MeanOnlyBatchNorm(C, momentum=0.1)
    layer.initialised.fill_(True)
    return layer


def after_half_the_training() -> nn.Module:
    """Batch norm that is frozen."""
    layer = FrozenBatchNorm(C, frozen_from=0.5, eps=EPS, momentum=0.1)
    layer.after_step(0.5)
    return layer


LAYERS: dict[str, tuple[Callable[[], nn.Module], ref.Reference]] = {
    "none": (lambda: ScaleShift(C), ref.none),
    "batch": (lambda: nn.BatchNorm2d(C, eps=EPS), ref.batch),
    "instance": (lambda: nn.InstanceNorm2d(C, eps=EPS, affine=True), ref.instance),
    "group": (lambda: GroupNorm(C, num_groups=ref.NUM_GROUPS, eps=EPS), ref.group),
    "layer": (lambda: GroupNorm(C, num_groups=1, eps=EPS), ref.layer),
    "gated": (lambda: GatedNorm(C, eps=EPS, momentum=0.1), ref.gated),
    "mean": (lambda: MeanNorm(C, eps=EPS, momentum=0.1), ref.mean),
    "mean_only": (after_its_first_batch, ref.mean_only),
    "serial": (lambda: SerialNorm(C, eps=EPS, momentum=0.1), ref.serial),
    "ibn": (lambda: IBN(C, instance_fraction=0.3, eps=EPS, momentum=0.1), ref.ibn),
    "switchable": (lambda: SwitchableNorm(C, eps=EPS, momentum=0.1), ref.switchable),
    "ghost": (
        lambda: GhostBatchNorm(C, ghost_size=ref.GHOST_SIZE, eps=EPS, momentum=0.1),
        ref.ghost,
    ),
    "renorm": (lambda: BatchRenorm(C, eps=EPS, momentum=0.1, **RENORM_SETTINGS), ref.renorm),
    "frn": (lambda: ThresholdedFilterResponseNorm(C, eps=EPS, learnable_eps=False), ref.frn),
    "frn_eps": (lambda: ThresholdedFilterResponseNorm(C, eps=-EPS, learnable_eps=True), ref.frn),
    "dyt": (lambda: DynamicTanh(C, alpha=0.5), ref.dyt),
    "derf": (lambda: DynamicErf(C, alpha=0.5, shift=0.0), ref.derf),
    "evonorm_b0": (lambda: EvoNormB0(C, eps=EPS, momentum=0.1), ref.evonorm_b0),
    "evonorm_s0": (lambda: EvoNormS0(C, num_groups=ref.NUM_GROUPS, eps=EPS), ref.evonorm_s0),
    "group_batch": (
        lambda: GroupBatchNorm(C, num_groups=ref.NUM_GROUPS, eps=EPS, momentum=0.1),
        ref.group_batch,
    ),
    "layer_batch": (
        lambda: GroupBatchNorm(C, num_groups=1, eps=EPS, momentum=0.1),
        ref.layer_batch,
    ),
    "layer2d": (lambda: LayerNorm2d(C, eps=EPS), ref.layer2d),
    "rms2d": (lambda: RMSNorm2d(C, eps=EPS), ref.rms2d),
    "grn": (lambda: GlobalResponseNorm(C, eps=EPS), ref.grn),
    "extended_batch": (lambda: ExtendedBatchNorm(C, eps=EPS, momentum=0.1), ref.extended_batch),
    "instance_plain": (
        lambda: PlainInstanceNorm(C, eps=EPS),
        lambda x, state, training: ref.instance_plain(x),
    ),
    "batch_frozen": (
        lambda: FrozenBatchNorm(C, frozen_from=0.5, eps=EPS, momentum=0.1),
        ref.batch,
    ),
    "batch_frozen_late": (
        after_half_the_training,
        lambda x, state, training: ref.batch(x, state, False),
    ),
    "fixup": (lambda: FixupScale(C), ref.fixup),
    "skipinit": (lambda: SkipInit(C), ref.skipinit),
}
HAS_INSTANCE_NORM = {"instance", "instance_plain", "gated", "mean", "serial", "ibn"}
NEEDS_A_BATCH = {"batch", "ghost", "renorm", "mean_only", "batch_frozen", "evonorm_b0"} | {
    *("group_batch", "layer_batch", "extended_batch", "switchable")
}


def used_layer(make: Callable[[], nn.Module]) -> nn.Module:
    """A layer as after some training: no parameter and no statistic has its first value."""
    layer, generator = make(), torch.Generator().manual_seed(1)
    for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.data.copy_(noise.abs() + 0.3)
        elif name == "progress":
            value.data.fill_(0.2)
        elif name != "eps" and value.is_floating_point():
            value.data.add_(0.5 * noise)
    return layer


def used_images(batch_size: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Images with channels of unlike mean and spread, and a gradient; both exact in bfloat16."""
    generator = torch.Generator().manual_seed(2)
    shape = (batch_size, C, height, width)
    spread = torch.linspace(0.5, 2, C).reshape(-1, 1, 1)
    images = spread * (
        torch.randn(shape, generator=generator) + torch.linspace(-1, 1.5, C)[:, None, None]
    )
    gradient = torch.randn(shape, generator=generator)
    return images.bfloat16(), gradient.bfloat16()


def assert_close(ours: Tensor | None, expected: Tensor | None, tolerance: float, what: str) -> None:
    """Within `tolerance` of the largest expected value, or of 1, the scale of all numbers here."""
    assert ours is not None, what
    assert expected is not None, what
    error = float((ours.detach().double() - expected.detach()).abs().max())
    scale = max(1.0, float(expected.detach().abs().max()))
    assert error <= tolerance * scale, f"{what}: {error} of {scale}"


# float32 keeps 24 bits: 6e-8 a rounding, up to some hundred times where 2 values are normalised.
# bfloat16 keeps 8: 2^-9 a rounding, of which there are at most four in a row (the parts, their
# sum, the output).
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 2**-7)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (32, 32)])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradients_are_those_of_the_formula(
    name: str,
    batch_size: int,
    size: tuple[int, int],
    training: bool,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    make, reference = LAYERS[name]
    layer = used_layer(make).train(training)
    images, gradient = used_images(batch_size, *size)
    state = {k: v.detach().double() for k, v in layer.state_dict().items()}
    x = images.to(dtype).clone().requires_grad_()

    has_no_spread = size == (1, 1) and (
        name in HAS_INSTANCE_NORM or (name in NEEDS_A_BATCH and training and batch_size == 1)
    )
    if has_no_spread:
        with pytest.raises(ValueError, match="Expected more than 1"):
            layer(x)
        return

    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = layer(x)
    y.backward(gradient.to(dtype))

    parameters = {k: state[k].requires_grad_() for k, _ in layer.named_parameters()}
    x64 = images.double().requires_grad_()
    y64 = reference(x64, state, training)
    y64.backward(gradient.double())  # type: ignore[no-untyped-call]

    assert y.dtype == dtype
    assert_close(y, y64, tolerance, "output")
    assert_close(x.grad, x64.grad, tolerance, "gradient of the input")
    for key, parameter in layer.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert_close(parameter.grad, parameters[key].grad, tolerance, f"gradient of {key}")


def test_a_wide_offset_does_not_eat_the_variance() -> None:
    """The naive E[x²] − E[x]² would lose all digits in float32 here."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(8, C, 4, 4, generator=generator) + 1000
    for name, (make, reference) in LAYERS.items():
        if name.startswith("frn") or name == "none":  # they leave the offset in
            continue
        layer = make().train()
        state = {k: v.double() for k, v in layer.state_dict().items()}
        expected = reference(images.double(), state, True)
        assert_close(layer(images), expected, 1e-3, name)
