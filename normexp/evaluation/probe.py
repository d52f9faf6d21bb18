"""Measure on random inputs which changes of its input a norm layer undoes, and what it depends on.

The layer is new, its running statistics settled on other batches, its schedule at the end. All is
in float64. Inputs have a variance of about 1, and each channel of each image has a mean and
a variance of its own. A deviation is the largest difference between two outputs, over the root
mean square of the first.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from normexp.contracts import FollowsSteps, NormLayer
from normexp.norms.placing import HINTS

NUM_CHANNELS, SIZE, NUM_BATCHES = 32, 6, 4
SETTLING_ROUNDS = 100  # batch renorm forgets slowest: 0.99^400 = 2 % of its start is left
# A smaller deviation counts as none: eps=1e-5 makes up to 3e-4, a real one is 0.1 and more.
SAME = 1e-3
TINY = 1e-300  # nothing is divided by 0
T = TypeVar("T")


@dataclass(frozen=True)
class NormProbe:
    """The measurements of a norm layer; pairs are in training and in evaluation mode."""

    changes: Mapping[str, tuple[float, float]]
    """Deviation by the change of the input (CHANGES), drawn for each image."""
    other_images: tuple[float, float]
    """Deviation of an image's output when the other images in the batch are replaced."""
    other_images_gradient: float
    """In training: the norm of the gradient of a function of an image's output with respect to the
    other images in the batch, over that with respect to the image itself."""
    mode: float  # deviation of evaluation from training
    identity: tuple[float, float]
    """R² of the inputs by the outputs, with the best scale and shift for each channel, the same
    ones for all images of several batches. At 1 the layer can be the identity."""
    one_image: tuple[str, str]  # in batches of one image, see `behaviour`
    one_pixel: tuple[str, str]  # on 1×1 maps
    parameters: Mapping[str, float]  # numbers for each channel, by name
    equals: str | None
    """A norm with the same outputs in both modes, up to a scale and a shift for each channel."""
    equals_as_it_starts: bool  # and no longer with another weight and bias


class Draw:
    """Random inputs of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._random, dtype=torch.float64)

    def factor(self, *shape: int) -> Tensor:
        """Numbers between 1/2 and 2, their logarithms uniform."""
        return 2 ** (2 * torch.rand(shape, generator=self._random, dtype=torch.float64) - 1)

    def images(self, num: int) -> Tensor:
        """A batch (N, C, H, W)."""
        each = (num, NUM_CHANNELS, 1, 1)
        mean = torch.linspace(-1, 1, NUM_CHANNELS)[:, None, None] + 0.5 * self.normal(*each)
        return mean + self.factor(*each).sqrt() * self.normal(*each[:2], SIZE, SIZE)


CHANGES: Mapping[str, Callable[[Tensor, Draw], Tensor]] = {
    "gain": lambda x, draw: x * draw.factor(len(x), 1, 1, 1),
    "channel_gain": lambda x, draw: x * draw.factor(*x.shape[:2], 1, 1),
    "shift": lambda x, draw: x + draw.normal(*x.shape[:2], 1, 1),  # a constant for each channel
    # about each channel's mean
    "contrast": lambda x, draw: x.mean((2, 3), True).lerp(x, draw.factor(len(x), 1, 1, 1)),
}
REFERENCES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "a scale and a shift": ((), ()),
    "batch norm": ((0, 2, 3), ()),
    "instance norm": ((2, 3), (2, 3)),
    "layer norm": ((1, 2, 3), (1, 2, 3)),
}
"""What these standardise over, in training and in evaluation."""


@torch.no_grad()
@torch.random.fork_rng(devices=[])
def probe(norm_layer: NormLayer, batch_size: int, seed: int) -> NormProbe:
    """Measure a norm layer on random inputs (N, C, H, W).

    Raises ValueError or TypeError where it is no norm layer, and what the layer itself raises.
    """
    draw = Draw(seed)
    torch.manual_seed(seed)
    layer = settled(norm_layer, [draw.images(batch_size) for _ in range(NUM_BATCHES)])
    batches = [draw.images(batch_size) for _ in range(NUM_BATCHES)]
    x, inputs = batches[0], torch.cat(batches)
    pixels = (draw.factor(*x.shape[:2]) * draw.normal(*x.shape[:2]).sign())[:, :, None, None]
    gradient = other_images_gradient(layer, x, 1 + draw.normal(*x.shape[1:]))
    outputs = {mode: torch.cat([run(layer, z, mode) for z in batches]) for mode in (True, False)}

    def moved(z: Tensor, num: int) -> tuple[float, float]:
        return _both(lambda mode: deviation(*(run(layer, v, mode)[:num] for v in (x, z))))

    equals = equal_norm(batches, [*outputs.values()], gradient > SAME)
    return NormProbe(
        changes={name: moved(change(x, draw), len(x)) for name, change in CHANGES.items()},
        other_images=moved(torch.cat([x[:1], batches[1][1:]]), 1),
        other_images_gradient=gradient,
        mode=deviation(*outputs.values()),
        identity=_both(lambda mode: explained(inputs, outputs[mode])),
        one_image=_both(lambda mode: behaviour(layer, list(x[:8, None]), mode)),
        one_pixel=_both(lambda mode: behaviour(layer, [pixels], mode)),
        parameters={name: p.numel() / NUM_CHANNELS for name, p in layer.named_parameters()},
        equals=equals,
        equals_as_it_starts=equals
        != equal_norm(batches, trained(layer, batches, draw), gradient > SAME),
    )


def trained(layer: nn.Module, batches: list[Tensor], draw: Draw) -> list[Tensor]:
    """Return the outputs in both modes with a weight and a bias that are drawn."""
    layer = copy.deepcopy(layer)
    for name, parameter in layer.named_parameters():
        if name.split(".")[-1] in ("weight", "bias"):
            parameter.copy_(draw.factor(*parameter.shape))
    return [torch.cat([run(layer, x, mode) for x in batches]) for mode in (True, False)]


def settled(norm_layer: NormLayer, batches: list[Tensor]) -> nn.Module:
    """Return a layer whose running statistics have settled on `batches`."""
    try:
        layer = norm_layer(NUM_CHANNELS).double().train()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error}{HINTS.get(getattr(norm_layer, 'func', None), '')}") from error
    for x in batches * (SETTLING_ROUNDS if list(layer.buffers()) else 1):
        y = layer(x)
    if not isinstance(y, Tensor):
        raise TypeError(f"the layer returns {type(y).__name__}, and a tensor is needed")
    if y.shape != x.shape or y.dtype != x.dtype:
        change = f"{tuple(x.shape)}, {x.dtype} into {tuple(y.shape)}, {y.dtype}"
        raise ValueError(f"the layer turns {change}; a norm layer keeps shape and type")
    for module in layer.modules():
        if isinstance(module, FollowsSteps):
            module.after_step(1.0)
    return layer


def _both(measure: Callable[[bool], T]) -> tuple[T, T]:
    return measure(True), measure(False)


def run(layer: nn.Module, x: Tensor, training: bool) -> Tensor:
    """Return the output; `layer` stays as it is, and its randomness, if any, is always the same."""
    torch.manual_seed(0)
    return torch.as_tensor(copy.deepcopy(layer).train(training)(x))


def standardised(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return `x` with mean 0 and variance 1 over `dims`; unchanged where there are none."""
    y = x - x.mean(dims, keepdim=True) if dims else x
    return y / (y.square().mean(dims, keepdim=True) + 1e-5).sqrt() if dims else x


def deviation(y: Tensor, other: Tensor) -> float:
    """Return the largest difference over the root mean square of `y`."""
    return float((y - other).abs().max() / y.square().mean().sqrt().clamp_min(TINY))


def explained(target: Tensor, source: Tensor) -> float:
    """Return R² of `target` by `source`, both (N, C, H, W), with a scale and a shift a channel."""
    t, s = (v - v.mean((0, 2, 3), keepdim=True) for v in (target, source))
    variance = s.square().sum((0, 2, 3)).clamp_min(TINY)
    return float(((t * s).sum((0, 2, 3)).square() / variance).sum() / t.square().sum())


def other_images_gradient(layer: nn.Module, x: Tensor, weights: Tensor) -> float:
    """Return `NormProbe.other_images_gradient` for the linear function of `weights` (C, H, W)."""
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad((run(layer, x, True)[0] * weights).sum(), x)
    return float(gradient[1:].norm() / gradient[0].norm().clamp_min(TINY))


def behaviour(layer: nn.Module, batches: list[Tensor], training: bool) -> str:
    """Return `works`, `instance norm`, `constant`, `sign only` or `refuses (…)`."""
    try:
        y = torch.cat([run(layer, x, training) for x in batches])
    except (ValueError, RuntimeError) as error:
        return f"refuses ({' '.join(str(error).split())})"
    values = max(len(set(channel.flatten().tolist())) for channel in y.round(decimals=3).unbind(1))
    if values < 3:  # a channel has one value, or two
        return "constant" if values == 1 else "sign only"
    is_instance = deviation(standardised(torch.cat(batches), (2, 3)), y) < SAME
    return "instance norm" if is_instance else "works"


def equal_norm(batches: list[Tensor], outputs: list[Tensor], gradient: bool) -> str | None:
    """Return the reference with these `outputs`; `gradient`: to other images in the batch."""
    for name, dims in REFERENCES.items():
        references = [torch.cat([standardised(x, d) for x in batches]) for d in dims]
        r2 = min(explained(*pair) for pair in zip(references, outputs, strict=True))
        if 1 - r2 < SAME**2 and gradient == (0 in dims[0]):
            return name
    return None


@torch.no_grad()
def probe_filters(change: Callable[[nn.Conv2d], None], seed: int) -> tuple[float, float]:
    """Return the deviations of a changed convolution when each filter gets a gain, and a shift."""
    draw, each = Draw(seed), (NUM_CHANNELS, 1, 1, 1)
    x, filters = draw.images(8), draw.normal(NUM_CHANNELS, NUM_CHANNELS, 3, 3)
    outputs = []
    for weight in (filters, filters * draw.factor(*each), filters + draw.normal(*each)):
        conv = nn.Conv2d(NUM_CHANNELS, NUM_CHANNELS, 3, bias=False).double()
        conv.weight.copy_(weight)
        change(conv)
        outputs.append(conv(x))
    return deviation(outputs[0], outputs[1]), deviation(outputs[0], outputs[2])
