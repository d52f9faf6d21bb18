"""What a norm layer is, measured on random inputs: what it undoes, and what it depends on.

The layer is as it starts, its running statistics settled on other batches and its schedule at the
end. All is in float64. Inputs vary by about 1, and each channel of each image has a mean and a
standard deviation of its own. A deviation is the largest difference between two outputs, over the
root mean square of the first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from normexp.contracts import FollowsSteps, NormLayer

NUM_CHANNELS, SIZE, NUM_BATCHES = 32, 6, 4
# Batch renorm forgets slowest: 0.99^400 = 2 % of its start is left.
SETTLING_STEPS = 400
# What is smaller is none: eps=1e-5 makes up to 3e-4, what a layer does not undo 0.1 and more.
SAME = 1e-3
TINY = 1e-300  # nothing is divided by 0

T = TypeVar("T")


@dataclass(frozen=True)
class Proof:
    """What was measured of a layer; pairs are in training and in evaluation."""

    changes: Mapping[str, tuple[float, float]]
    """Deviation by the change of the input (CHANGES), drawn for each image of the batch."""
    mates: tuple[float, float]
    """Deviation of an image's output when the other images of its batch are others."""
    mates_gradient: float
    """In training, the gradient of a function of one image's output with respect to the other
    images, over that with respect to the image itself: Euclidean lengths."""
    mode: float
    """Deviation of evaluation from training."""
    identity: tuple[float, float]
    """R² of the inputs by the outputs, with the best scale and shift for each channel, the same
    ones for all images of several batches. At 1 the layer can be the identity."""
    one_image: tuple[str, str]
    """In batches of one image: `works`, `instance norm`, `constant`, `sign` (no more than two
    values a channel), or `refuses: ` and why."""
    one_pixel: tuple[str, str]
    """The same for 1×1 maps."""
    parameters: float
    """For each channel."""
    extra: tuple[str, ...]
    """The parameters that are neither a weight nor a bias, if there are more than two a channel."""
    equals: str | None
    """A norm with the same outputs in both modes, up to a scale and a shift for each channel."""


class Draw:
    """Random inputs of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        """Numbers of mean 0 and variance 1."""
        return torch.randn(shape, generator=self._random, dtype=torch.float64)

    def factor(self, *shape: int) -> Tensor:
        """Numbers between 1/2 and 2, their logarithms uniform."""
        return 2 ** (2 * torch.rand(shape, generator=self._random, dtype=torch.float64) - 1)

    def images(self, num: int) -> Tensor:
        """A batch (N, C, H, W)."""
        mean = torch.linspace(-1, 1, NUM_CHANNELS)[:, None, None]
        mean = mean + 0.5 * self.normal(num, NUM_CHANNELS, 1, 1)
        std = self.factor(num, NUM_CHANNELS, 1, 1).sqrt()
        return mean + std * self.normal(num, NUM_CHANNELS, SIZE, SIZE)


def _contrast(x: Tensor, draw: Draw) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * draw.factor(len(x), 1, 1, 1) + mean


CHANGES: Mapping[str, Callable[[Tensor, Draw], Tensor]] = {
    "gain": lambda x, draw: x * draw.factor(len(x), 1, 1, 1),
    "channel_gain": lambda x, draw: x * draw.factor(*x.shape[:2], 1, 1),
    "shift": lambda x, draw: x + draw.normal(*x.shape[:2], 1, 1),  # a constant for each channel
    "contrast": _contrast,  # about the mean of each channel
}
# What these standardise over, in training and in evaluation.
REFERENCES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "no norm, a scale and a shift": ((), ()),
    "batch norm": ((0, 2, 3), ()),
    "instance norm": ((2, 3), (2, 3)),
    "layer norm": ((1, 2, 3), (1, 2, 3)),
}


@torch.no_grad()
def prove(norm_layer: NormLayer, batch_size: int, seed: int) -> Proof:
    """Measure a layer; raises ValueError or what the layer raises if it is no norm layer."""
    draw = Draw(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = settled(norm_layer, [draw.images(batch_size) for _ in range(NUM_BATCHES)])
    batches = [draw.images(batch_size) for _ in range(NUM_BATCHES)]
    x = batches[0]
    pixels = (draw.factor(*x.shape[:2]) * draw.normal(*x.shape[:2]).sign())[:, :, None, None]
    changed = {name: change(x, draw) for name, change in CHANGES.items()}
    gradient = mates_gradient(layer, x, 1 + draw.normal(*x.shape[1:]))
    outputs = both(lambda mode: torch.cat([run(layer, batch, mode) for batch in batches]))
    num = sum(p.numel() for p in layer.parameters()) / NUM_CHANNELS
    names = [n for n, _ in layer.named_parameters() if n.split(".")[-1] not in ("weight", "bias")]

    def moved(z: Tensor, num: int) -> tuple[float, float]:
        return both(lambda mode: deviation(*(run(layer, v, mode)[:num] for v in (x, z))))

    return Proof(
        changes={name: moved(z, len(x)) for name, z in changed.items()},
        mates=moved(torch.cat([x[:1], batches[1][1:]]), 1),
        mates_gradient=gradient,
        mode=deviation(*outputs),
        identity=both(lambda mode: explained(torch.cat(batches), outputs[not mode])),
        one_image=both(lambda mode: behaviour(layer, list(x[:8, None]), mode)),
        one_pixel=both(lambda mode: behaviour(layer, [pixels], mode)),
        parameters=num,
        extra=tuple(names) if num > 2 else (),
        equals=equal_norm(batches, outputs, gradient > SAME),
    )


def settled(norm_layer: NormLayer, batches: list[Tensor]) -> nn.Module:
    """Return a layer that has seen `batches` in training, again and again."""
    layer = norm_layer(NUM_CHANNELS).double().train()
    for step in range(SETTLING_STEPS if list(layer.buffers()) else 1):
        x = batches[step % len(batches)]
        y = layer(x)
    if y.shape != x.shape or y.dtype != x.dtype:
        change = f"{tuple(x.shape)}, {x.dtype} into {tuple(y.shape)}, {y.dtype}"
        raise ValueError(f"the layer turns {change}; a norm layer keeps shape and type")
    for module in layer.modules():
        if isinstance(module, FollowsSteps):
            module.after_step(1.0)
    return layer


def both(measure: Callable[[bool], T]) -> tuple[T, T]:
    """Measure in training and in evaluation."""
    return measure(True), measure(False)


def run(layer: nn.Module, x: Tensor, training: bool) -> Tensor:
    """Return the output; `layer` stays as it is, and its randomness, if any, is always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.as_tensor(copy.deepcopy(layer).train(training)(x))


def standardised(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """`x` with mean 0 and variance 1 over `dims`; as it is where there are none."""
    mean = x.mean(dims, keepdim=True) if dims else 0
    return (x - mean) / ((x - mean).square().mean(dims, keepdim=True) + 1e-5).sqrt() if dims else x


def deviation(y: Tensor, other: Tensor) -> float:
    """The largest difference over the root mean square of `y`."""
    return float((y - other).abs().max() / y.square().mean().sqrt().clamp_min(TINY))


def explained(target: Tensor, source: Tensor) -> float:
    """R² of `target` by `source`, (N, C, H, W) both, with a scale and a shift for each channel."""
    t, s = (v - v.mean((0, 2, 3), keepdim=True) for v in (target, source))
    variance = s.square().sum((0, 2, 3)).clamp_min(TINY)
    return float(((t * s).sum((0, 2, 3)).square() / variance).sum() / t.square().sum())


def mates_gradient(layer: nn.Module, x: Tensor, weights: Tensor) -> float:
    """See `Proof.mates_gradient`; the function is linear, with these `weights` (C, H, W)."""
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad((run(layer, x, True)[0] * weights).sum(), x)
    return float(gradient[1:].norm() / gradient[0].norm().clamp_min(TINY))


def behaviour(layer: nn.Module, batches: list[Tensor], training: bool) -> str:
    """How the layer takes `batches`: see `Proof.one_image`."""
    try:
        y = torch.cat([run(layer, x, training) for x in batches])
    except (ValueError, RuntimeError) as error:
        return "refuses: " + " ".join(str(error).split())
    values = max(len(channel.unique()) for channel in y.round(decimals=3).unbind(1))
    if values < 3:
        return "constant" if values == 1 else "sign"
    is_instance = deviation(standardised(torch.cat(batches), (2, 3)), y) < SAME
    return "instance norm" if is_instance else "works"


def equal_norm(batches: list[Tensor], outputs: tuple[Tensor, Tensor], gradient: bool) -> str | None:
    """Return the reference with these `outputs`, and the same answer on its mates' `gradient`."""
    for name, dims in REFERENCES.items():
        references = [torch.cat([standardised(x, d) for x in batches]) for d in dims]
        r2 = min(explained(*pair) for pair in zip(references, outputs, strict=True))
        if 1 - r2 < SAME**2 and gradient == (0 in dims[0]):
            return name
    return None


@torch.no_grad()
def prove_filters(change: Callable[[nn.Conv2d], None], seed: int) -> tuple[float, float]:
    """Deviation of a changed convolution when each filter gets a gain, and when it gets a shift."""
    draw = Draw(seed)
    x, filters = draw.images(8), draw.normal(NUM_CHANNELS, NUM_CHANNELS, 3, 3)
    gain, shift = draw.factor(NUM_CHANNELS, 1, 1, 1), draw.normal(NUM_CHANNELS, 1, 1, 1)
    outputs = []
    for weight in (filters, filters * gain, filters + shift):
        conv = nn.Conv2d(NUM_CHANNELS, NUM_CHANNELS, 3, bias=False).double()
        conv.weight.copy_(weight)
        change(conv)
        outputs.append(conv(x))
    return deviation(outputs[0], outputs[1]), deviation(outputs[0], outputs[2])
