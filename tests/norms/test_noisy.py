"""The noise of batch norm without its neighbours: its formula, its size, and the size it copies."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from normexp.contracts import NormLayer
from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.group import GroupNorm
from normexp.norms.noisy import MEAN_SPREAD, VARIANCE_SPREAD, NoisyNorm

torch.set_num_threads(1)

C, N = 8, 500
INNER: dict[str, NormLayer] = {
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "group": partial(GroupNorm, num_groups=2, eps=1e-5),
}


def images() -> Tensor:
    return torch.randn(N, C, 3, 4, generator=torch.Generator().manual_seed(7)).double()


def noisy(name: str, ghost_size: int) -> NoisyNorm:
    layer = NoisyNorm(C, norm_layer=INNER[name], ghost_size=ghost_size).double()
    assert isinstance(layer.norm, nn.InstanceNorm2d | nn.GroupNorm)
    layer.norm.weight.data = torch.linspace(-1, 2, C).double()
    layer.norm.bias.data = torch.linspace(0.5, 3, C).double()
    return layer


def line_through(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept (N, C) of y by x for each image and channel; they fit exactly."""
    x_mean, y_mean = x.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)
    slope = ((x - x_mean) * (y - y_mean)).sum((2, 3), keepdim=True) / (
        (x - x_mean).square().sum((2, 3), keepdim=True)
    )
    torch.testing.assert_close(y - y_mean, slope * (x - x_mean))
    return slope[..., 0, 0], (y_mean - slope * x_mean)[..., 0, 0]


@pytest.mark.parametrize("ghost_size", [2, 16, 128])
@pytest.mark.parametrize("name", INNER)
def test_each_channel_of_each_image_has_noise_of_its_own_that_falls_as_the_root_of_the_size(
    name: str, ghost_size: int
) -> None:
    torch.manual_seed(11)
    layer, x = noisy(name, ghost_size), images()
    plain, changed = layer.eval()(x), layer.train()(x)
    torch.testing.assert_close(plain, layer.norm(x))
    weight, bias = (layer.norm.get_parameter(v).detach() for v in ("weight", "bias"))
    # With weight·x̂ + bias = plain, weight·(x̂ − a)·r + bias = r·plain + (1 − r)·bias − r·a·weight.
    r, intercept = line_through(plain, changed)
    a = ((1 - r) * bias - intercept) / (r * weight)
    for noise, size in ((a, MEAN_SPREAD), (r.log(), VARIANCE_SPREAD / 2)):
        expected = size / ghost_size**0.5
        num = noise.numel()
        assert noise.std().item() == pytest.approx(expected, rel=4 / (2 * num) ** 0.5)
        assert abs(noise.mean().item()) < 4 * expected / num**0.5
        for of_pair in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
            product = of_pair[0] * of_pair[1]
            assert abs(product.mean().item()) < 4 * expected**2 / product.numel() ** 0.5
    assert abs((a * r.log()).mean() / (a.std() * r.log().std())).item() < 4 / a.numel() ** 0.5


@pytest.mark.parametrize("ghost_size", [16, 64])
def test_batch_norm_over_so_many_images_has_noise_of_that_size(ghost_size: int) -> None:
    """Images whose mean and mean square spread as the two constants say: as the module argues."""
    generator = torch.Generator().manual_seed(12)
    parts, channels = 40, 50
    shape = (parts * ghost_size, channels, 1, 1)
    mean = MEAN_SPREAD * torch.randn(shape, generator=generator)
    # mean² has the variance 2·MEAN_SPREAD⁴ of VARIANCE_SPREAD²; the images within have the rest.
    rest, share = VARIANCE_SPREAD**2 - 2 * MEAN_SPREAD**4, 1 - MEAN_SPREAD**2
    gamma = np.random.default_rng(13).gamma(share**2 / rest, rest / share, shape)
    within = torch.tensor(gamma).clamp(min=1e-6)  # no image is flat
    x = (mean + within.sqrt() * torch.tensor([-1.0, 1.0])).double()
    spread_of_squares = x.square().mean((2, 3)).std()
    variance = x.square().mean()
    layer = (
        GhostBatchNorm(channels, ghost_size=ghost_size, eps=1e-12, momentum=0.1).double().train()
    )
    slope, intercept = line_through(x, layer(x))
    # x̂ = x/σ with the mean 0: (x/σ − a)·r
    r = slope[:parts] * variance.sqrt()
    a = -intercept[:parts] / r
    root = ghost_size**0.5
    of_mean = float(MEAN_SPREAD / variance.sqrt()) / root
    of_root = float(spread_of_squares / variance) / 2 / root
    assert a.std().item() == pytest.approx(of_mean, rel=0.1)
    assert r.log().std().item() == pytest.approx(of_root, rel=0.15)


def test_gradients_reach_the_inner_norm_and_the_images() -> None:
    torch.manual_seed(1)
    layer, x = noisy("instance", 4).train(), images()[:4].requires_grad_()

    def output(z: Tensor) -> Tensor:
        torch.manual_seed(2)
        return torch.as_tensor(layer(z))

    assert torch.autograd.gradcheck(output, x[:2, :, :2, :2].detach().requires_grad_())
    output(x).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().min() > 0 for p in layer.parameters())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ghost_size": 0}, "ghost_size=0: a batch has 1 image or more"),
        ({"norm_layer": nn.InstanceNorm2d}, "InstanceNorm2d.* has no weight and bias"),
        ({"norm_layer": nn.Identity}, "Identity.* has no weight and bias"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    settings = {"norm_layer": INNER["instance"], "ghost_size": 4, **changed}
    with pytest.raises(ValueError, match=message):
        NoisyNorm(C, **settings)  # type: ignore[arg-type]
