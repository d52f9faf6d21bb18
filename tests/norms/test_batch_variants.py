"""Ghost batch norm, batch renorm and switchable norm, where they meet batch norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from normexp.norms.ghost import GhostBatchNorm
from normexp.norms.renorm import BatchRenorm
from normexp.norms.switchable import SwitchableNorm

torch.set_num_threads(1)

C = 6
COMMON = {"eps": 1e-5, "momentum": 0.1}
SCHEDULE = {"warmup_until": 0.1, "r_until": 0.5, "d_until": 0.3}


def images(num: int = 8, seed: int = 11) -> Tensor:
    return 1 + 2 * torch.randn(num, C, 3, 4, generator=torch.Generator().manual_seed(seed))


def renorm(r_max: float = 3.0, d_max: float = 5.0) -> BatchRenorm:
    return BatchRenorm(C, r_max=r_max, d_max=d_max, **SCHEDULE, **COMMON)


def assert_trains_as_batch_norm(layer: nn.BatchNorm2d, num_images: int) -> None:
    batch = nn.BatchNorm2d(C, eps=1e-5, momentum=0.1)
    for seed in range(3):
        x, x_batch = (images(num_images, seed).requires_grad_() for _ in range(2))
        y, y_batch = layer(x), batch(x_batch)
        (y * images(num_images, 99)).sum().backward()
        (y_batch * images(num_images, 99)).sum().backward()
        torch.testing.assert_close(y, y_batch, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(x.grad, x_batch.grad, rtol=1e-4, atol=1e-5)
    assert layer.state_dict().keys() >= batch.state_dict().keys()
    for key, value in batch.state_dict().items():
        torch.testing.assert_close(layer.state_dict()[key], value)
    torch.testing.assert_close(layer.eval()(images()), batch.eval()(images()))


@pytest.mark.parametrize(("ghost_size", "num_images"), [(8, 8), (8, 9), (8, 5), (64, 1), (3, 4)])
def test_ghosts_of_the_whole_batch_are_batch_norm(ghost_size: int, num_images: int) -> None:
    assert_trains_as_batch_norm(GhostBatchNorm(C, ghost_size=ghost_size, **COMMON), num_images)


def test_ghosts_of_one_image_are_instance_norm() -> None:
    layer = GhostBatchNorm(C, ghost_size=1, **COMMON).train()
    torch.testing.assert_close(layer(images(5)), nn.InstanceNorm2d(C)(images(5)))


def test_an_image_depends_on_its_own_ghost_only() -> None:
    layer, x = GhostBatchNorm(C, ghost_size=4, **COMMON).train(), images(11).requires_grad_()
    layer(x)[3].square().sum().backward()  # image 3 of 4 + 4 + 3 is in part 3 mod 2 = 1
    assert x.grad is not None
    touched = x.grad.abs().sum(dim=(1, 2, 3)) > 1e-6
    assert touched.nonzero().flatten().tolist() == [1, 3, 5, 7]


def test_a_ghost_without_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="ghost_size=0: a part needs 1 image or more"):
        GhostBatchNorm(C, ghost_size=0, **COMMON)


def test_renorm_without_a_correction_is_batch_norm() -> None:
    layer = renorm(r_max=1.0, d_max=0.0)
    layer.after_step(1.0)
    assert_trains_as_batch_norm(layer, 8)


def test_renorm_is_batch_norm_during_its_warm_up() -> None:
    layer = renorm()
    layer.after_step(0.1)
    assert_trains_as_batch_norm(layer, 8)


@pytest.mark.parametrize(
    ("progress", "r_max", "d_max"),
    [(0, 1, 0), (0.1, 1, 0), (0.2, 1.5, 2.5), (0.3, 2, 5), (0.5, 3, 5), (1, 3, 5)],
)
def test_the_limits_of_renorm_follow_its_schedule(
    progress: float, r_max: float, d_max: float
) -> None:
    layer = renorm()
    layer.after_step(progress)
    assert [float(limit) for limit in layer.limits()] == pytest.approx([r_max, d_max], abs=1e-6)
    copy = renorm()
    copy.load_state_dict(layer.state_dict())
    assert copy.limits() == layer.limits()


def test_within_its_limits_renorm_trains_with_the_running_statistics() -> None:
    layer, x = renorm(r_max=100.0, d_max=100.0), images()
    layer.running_mean, layer.running_var = torch.full((C,), 0.5), torch.full((C,), 3.0)
    layer.after_step(1.0)
    evaluated = layer.eval()(x)
    torch.testing.assert_close(layer.train()(x), evaluated, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"r_max": 0.5}, "r_max=0.5"),
        ({"d_max": -1.0}, "d_max=-1.0"),
        ({"warmup_until": 0.3}, "less than r_until=0.5 and d_until=0.3"),
    ],
)
def test_limits_of_renorm_that_make_no_sense_are_refused(
    changed: dict[str, float], message: str
) -> None:
    settings = {"r_max": 3.0, "d_max": 5.0, **SCHEDULE, **COMMON}
    with pytest.raises(ValueError, match=message):
        BatchRenorm(C, **{**settings, **changed})


@pytest.mark.parametrize("source", ["instance", "layer", "batch"])
@pytest.mark.parametrize("training", [True, False])
def test_switchable_can_switch_to_each_of_its_sources(source: str, training: bool) -> None:
    layer = SwitchableNorm(C, **COMMON)
    index = ["instance", "layer", "batch"].index(source)
    for logits in (layer.mean_logits, layer.variance_logits):
        logits.data[index] = 40.0
    others = {
        "instance": nn.InstanceNorm2d(C),
        "layer": nn.GroupNorm(1, C),
        "batch": nn.BatchNorm2d(C, eps=1e-5, momentum=0.1),
    }
    for norm in (layer, others[source]):
        norm.train()(images(seed=12))
        norm.train(training)
    torch.testing.assert_close(layer(images()), others[source](images()), rtol=1e-5, atol=1e-5)


def test_switchable_reads_out_its_six_weights() -> None:
    layer = SwitchableNorm(C, **COMMON)
    assert all(float(v) == pytest.approx(1 / 3) for v in layer.readings().values())
    layer.variance_logits.data = torch.log(torch.tensor([1.0, 2.0, 5.0]))
    readings = {name: float(value) for name, value in layer.readings().items()}
    assert readings == pytest.approx(
        {
            "mean_instance": 1 / 3,
            "mean_layer": 1 / 3,
            "mean_batch": 1 / 3,
            "variance_instance": 1 / 8,
            "variance_layer": 2 / 8,
            "variance_batch": 5 / 8,
        }
    )


@pytest.mark.parametrize("training", [True, False])
def test_switchable_of_one_image_has_its_statistics_as_those_of_the_batch(training: bool) -> None:
    layer = SwitchableNorm(C, **COMMON)
    layer.mean_logits.data[2] = layer.variance_logits.data[2] = 40.0  # all weight on the batch
    batch = nn.BatchNorm2d(C, eps=1e-5, momentum=0.1)
    for norm in (layer, batch):
        norm.train()(images(1))
        norm.train(training)
    torch.testing.assert_close(layer(images(1)), batch(images(1)), rtol=1e-5, atol=1e-5)


def test_switchable_moves_its_weights_under_an_optimizer() -> None:
    layer = SwitchableNorm(C, **COMMON).train()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    target = nn.InstanceNorm2d(C)(images())
    for _ in range(20):
        optimizer.zero_grad()
        (layer(images()) - target).square().mean().backward()
        optimizer.step()
    assert layer.readings()["mean_instance"] > 0.34
