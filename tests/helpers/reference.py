"""Every norm once more, from its formula, in float64: sums and products, no layer of torch's.

A function takes the images (N, C, H, W), the layer's state by name, and whether it is training.
Gradients come from autograd through these sums. EPS and the settings in capitals are those that
the tests give the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

EPS = 1e-3  # large enough that a layer which puts it in another place is found out
NUM_GROUPS = 2
GHOST_SIZE = 4
R_MAX, D_MAX, WARMUP_UNTIL, R_UNTIL, D_UNTIL = 3.0, 5.0, 0.1, 0.5, 0.3

State = Mapping[str, Tensor]
Reference = Callable[[Tensor, State, bool], Tensor]


def per_channel(values: Tensor) -> Tensor:
    return values.reshape(1, -1, 1, 1)


def affine(x: Tensor, state: State, prefix: str = "") -> Tensor:
    return per_channel(state[prefix + "weight"]) * x + per_channel(state[prefix + "bias"])


def moments(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance, with the summed dimensions kept."""
    count = 1
    for dim in dims:
        count *= x.shape[dim]
    mean = x.sum(dims, keepdim=True) / count
    return mean, ((x - mean) ** 2).sum(dims, keepdim=True) / count


def standardise(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (x - mean) / (variance + EPS) ** 0.5


def batch_plain(x: Tensor, state: State, training: bool, prefix: str = "") -> Tensor:
    if training:
        return standardise(x, *moments(x, (0, 2, 3)))
    mean, variance = state[prefix + "running_mean"], state[prefix + "running_var"]
    return standardise(x, per_channel(mean), per_channel(variance))


def instance_plain(x: Tensor) -> Tensor:
    return standardise(x, *moments(x, (2, 3)))


def none(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(x, state)


def batch(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(batch_plain(x, state, training), state)


def instance(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(instance_plain(x), state)


def group(x: Tensor, state: State, training: bool) -> Tensor:
    parts = torch.chunk(x, NUM_GROUPS, dim=1)
    normed = torch.cat([standardise(part, *moments(part, (1, 2, 3))) for part in parts], dim=1)
    return affine(normed, state)


def layer(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(standardise(x, *moments(x, (1, 2, 3))), state)


def gated(x: Tensor, state: State, training: bool) -> Tensor:
    gate = per_channel(state["gate"])
    mixed = gate * batch_plain(x, state, training, "batch.") + (1 - gate) * instance_plain(x)
    return affine(mixed, state)


def mean(x: Tensor, state: State, training: bool) -> Tensor:
    return affine((batch_plain(x, state, training, "batch.") + instance_plain(x)) / 2, state)


def serial(x: Tensor, state: State, training: bool) -> Tensor:
    normed = instance_plain(batch_plain(x, state, training, "batch."))
    return affine(normed, state, "instance.")


def ibn(x: Tensor, state: State, training: bool) -> Tensor:
    split = len(state["instance.weight"])
    first = affine(instance_plain(x[:, :split]), state, "instance.")
    rest = affine(batch_plain(x[:, split:], state, training, "batch."), state, "batch.")
    return torch.cat([first, rest], dim=1)


def switchable(x: Tensor, state: State, training: bool) -> Tensor:
    pairs = [moments(x, (2, 3)), moments(x, (1, 2, 3))]
    if not training:
        pairs.append((per_channel(state["running_mean"]), per_channel(state["running_var"])))
    else:
        pairs.append(moments(x, (0, 2, 3)))
    exp_mean = torch.exp(state["mean_logits"])
    exp_variance = torch.exp(state["variance_logits"])
    mixed_mean = sum(e / exp_mean.sum() * m for e, (m, _) in zip(exp_mean, pairs, strict=True))
    mixed_variance = sum(
        e / exp_variance.sum() * v for e, (_, v) in zip(exp_variance, pairs, strict=True)
    )
    return affine(
        standardise(x, torch.as_tensor(mixed_mean), torch.as_tensor(mixed_variance)), state
    )


def mean_only(x: Tensor, state: State, training: bool) -> Tensor:
    mean = moments(x, (0, 2, 3))[0] if training else per_channel(state["batch.running_mean"])
    return affine(x - mean, state)


def ghost_parts(num_images: int) -> list[list[int]]:
    """The images of each part, as the layer's description has it."""
    num_equal = num_images // GHOST_SIZE
    rest = num_images - num_equal * GHOST_SIZE
    if rest == 1 and num_equal >= 1:
        num_equal -= 1
    in_equal = range(num_equal * GHOST_SIZE)
    parts = [[i for i in in_equal if i % num_equal == part] for part in range(num_equal)]
    last = list(range(num_equal * GHOST_SIZE, num_images))
    return [*parts, last] if last else parts


def ghost(x: Tensor, state: State, training: bool) -> Tensor:
    if not training:
        return batch(x, state, training)
    normed = [None] * len(x)
    for part in ghost_parts(len(x)):
        rows = standardise(x[part], *moments(x[part], (0, 2, 3)))
        for image, row in zip(part, rows, strict=True):
            normed[image] = row
    return affine(torch.stack(normed), state)  # type: ignore[arg-type]


def renorm(x: Tensor, state: State, training: bool) -> Tensor:
    if not training:
        return batch(x, state, training)
    done = float(state["progress"])
    r_share = min(max((done - WARMUP_UNTIL) / (R_UNTIL - WARMUP_UNTIL), 0), 1)
    d_share = min(max((done - WARMUP_UNTIL) / (D_UNTIL - WARMUP_UNTIL), 0), 1)
    r_max, d_max = 1 + (R_MAX - 1) * r_share, D_MAX * d_share
    batch_mean, batch_variance = moments(x, (0, 2, 3))
    sigma = (batch_variance + EPS) ** 0.5
    running_sigma = per_channel((state["running_var"] + EPS) ** 0.5)
    r = torch.clip(sigma / running_sigma, 1 / r_max, r_max).detach()
    shift = (batch_mean - per_channel(state["running_mean"])) / running_sigma
    d = torch.clip(shift, -d_max, d_max).detach()
    return affine((x - batch_mean) / sigma * r + d, state)


def frn(x: Tensor, state: State, training: bool) -> Tensor:
    mean_square = (x * x).sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3])
    y = affine(x / (mean_square + abs(state["eps"])) ** 0.5, state)
    threshold = per_channel(state["threshold"])
    return torch.where(y > threshold, y, threshold + 0 * y)


def dyt(x: Tensor, state: State, training: bool) -> Tensor:
    grown, shrunk = torch.exp(state["alpha"] * x), torch.exp(-state["alpha"] * x)
    return affine((grown - shrunk) / (grown + shrunk), state)


def derf(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(torch.erf(state["alpha"] * x + state["shift"]), state)


def evonorm_b0(x: Tensor, state: State, training: bool) -> Tensor:
    variance = moments(x, (0, 2, 3))[1] if training else per_channel(state["running_var"])
    batch_std = (variance + EPS) ** 0.5
    other = per_channel(state["v"]) * x + (moments(x, (2, 3))[1] + EPS) ** 0.5
    return affine(x / torch.where(other > batch_std, other, batch_std + 0 * x), state)


def evonorm_s0(x: Tensor, state: State, training: bool) -> Tensor:
    parts = torch.chunk(x, NUM_GROUPS, dim=1)
    stds = [(moments(part, (1, 2, 3))[1] + EPS) ** 0.5 + 0 * part for part in parts]
    gate = 1 / (1 + torch.exp(-per_channel(state["v"]) * x))
    return affine(x * gate / torch.cat(stds, dim=1), state)


def group_batch(x: Tensor, state: State, training: bool) -> Tensor:
    parts = torch.chunk(x, NUM_GROUPS, dim=1)
    normed = torch.cat([standardise(part, *moments(part, (1, 2, 3))) for part in parts], dim=1)
    return affine(batch_plain(normed, state, training, "batch."), state, "batch.")


def layer_batch(x: Tensor, state: State, training: bool) -> Tensor:
    normed = standardise(x, *moments(x, (1, 2, 3)))
    return affine(batch_plain(normed, state, training, "batch."), state, "batch.")


def layer2d(x: Tensor, state: State, training: bool) -> Tensor:
    return affine(standardise(x, *moments(x, (1,))), state)


def rms2d(x: Tensor, state: State, training: bool) -> Tensor:
    mean_square = (x * x).sum(1, keepdim=True) / x.shape[1]
    return affine(x / (mean_square + EPS) ** 0.5, state)


def grn(x: Tensor, state: State, training: bool) -> Tensor:
    response = (x * x).sum((2, 3), keepdim=True) ** 0.5
    relative = response / (response.sum(1, keepdim=True) / x.shape[1] + EPS)
    return x + affine(x * relative, state)


def extended_batch(x: Tensor, state: State, training: bool) -> Tensor:
    if training:
        mean, variance = moments(x, (0, 2, 3))[0], moments(x, (0, 1, 2, 3))[1]
    else:
        means, variances = state["running_mean"], state["running_var"]
        mean = per_channel(means)
        square = (variances + means * means).sum() / len(means)
        variance = square - (means.sum() / len(means)) ** 2
    return affine(standardise(x, mean, variance), state)


def fixup(x: Tensor, state: State, training: bool) -> Tensor:
    return state["weight"] * x + state["bias"]


def skipinit(x: Tensor, state: State, training: bool) -> Tensor:
    return state["alpha"] * affine(x, state)
