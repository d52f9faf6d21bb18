from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from normexp import build
from normexp.engine.fit import Training
from normexp.engine.result import findings
from normexp.engine.step import training_step
from normexp.errors import UserError

Compose = Callable[..., DictConfig]
SMALL = (
    "data=generated",
    "data.source.num_train=200",
    "data.source.num_test=50",
    "model.network.widths=[8,8,8,8,8,8]",
    "precision=fp32",
    "steps=5",
)


def made(compose: Compose, *overrides: str) -> Training:
    return build.training(*build.run_spec(compose(*SMALL, *overrides)))[0]


def trained(compose: Compose, *overrides: str) -> Training:
    training = made(compose, *overrides)
    for step in range(training.recipe.total_steps):
        training_step(training.state, training.batches(step), training.recipe)
    return training


def test_a_step_over_four_batches_is_a_step_on_their_images(compose: Compose) -> None:
    whole = trained(compose, "norm=group", "batch_size=32")
    parts = trained(compose, "norm=group", "batch_size=8", "accumulate=4")
    for (name, one), other in zip(
        whole.state.network.state_dict().items(),
        parts.state.network.state_dict().values(),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4, msg=name)
    torch.testing.assert_close(whole.state.totals, parts.state.totals)


def test_running_statistics_move_once_a_batch(compose: Compose) -> None:
    parts = trained(compose, "norm=batch", "batch_size=8", "accumulate=4")
    counts = [b for n, b in parts.state.network.named_buffers() if n.endswith("batches_tracked")]
    assert [int(count) for count in counts] == [20] * len(counts)


def test_the_learning_rate_and_the_images_count_the_whole_step(compose: Compose) -> None:
    training = made(compose, "batch_size=8", "accumulate=4", "optimizer.lr=0.1")
    assert training.recipe.schedule.peak == pytest.approx(0.1 * 32 / 128)
    assert training.images_per_step == 32
    assert training.steps_per_epoch == 180 // 8 // 4


def test_a_run_says_how_many_images_its_epochs_leave_out(compose: Compose) -> None:
    few, many = (
        made(compose, "batch_size=20", f"accumulate={k}", "data.val_fraction=0.05").summary()
        for k in (1, 5)
    )
    assert "5 steps of 20; " in few  # 190 training images: 10 do not fill a batch
    assert "5 steps of 100, without 90 images of each epoch; " in many


def test_more_batches_than_there_are_images_for_are_refused(compose: Compose) -> None:
    with pytest.raises(UserError, match="accumulate=100"):
        made(compose, "batch_size=8", "accumulate=100")


def test_the_training_loss_is_without_label_smoothing(compose: Compose) -> None:
    plain, smooth = (
        trained(compose, "steps=1", "optimizer.lr=1e-9", f"label_smoothing={share}")
        for share in (0.0, 0.9)
    )
    torch.testing.assert_close(plain.state.totals, smooth.state.totals)
    plain, smooth = (
        trained(compose, "optimizer.lr=0.1", f"label_smoothing={share}") for share in (0.0, 0.9)
    )
    weight = "head.linear.weight"
    assert not torch.equal(
        plain.state.network.get_parameter(weight), smooth.state.network.get_parameter(weight)
    )


def test_a_run_with_an_infinite_statistic_has_diverged(compose: Compose) -> None:
    training = trained(compose, "norm=batch", "batch_size=32")
    training.state.seconds = 1.0
    assert findings(training, finite=True).outcome == "finished"
    training.state.network.get_buffer("stage0.0.norm.running_var")[0] = float("inf")
    found = findings(training, finite=True)
    assert (found.outcome, found.test) == ("diverged", None)
