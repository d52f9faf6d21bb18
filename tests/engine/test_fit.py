"""The loop, the step, the schedule, and stopping."""

from __future__ import annotations

import math
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.needs import NEED_MORE, NEED_RESIDUAL_BRANCHES
from helpers.short import in_short
from helpers.small_run import BATCH_SIZE, SMALL, STEPS_PER_EPOCH, Compose, Specs, carry_out
from torch import nn

from normexp import build
from normexp.contracts import ScalesLearningRate
from normexp.engine.interrupt import StopRequest
from normexp.engine.schedule import Schedule, parameter_groups, set_lr
from normexp.engine.state import TrainingState
from normexp.engine.step import Recipe, training_step
from normexp.errors import Stopped
from normexp.precision import Precision
from normexp.tensors import load

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
NORMS = sorted(path.stem for path in Path(build.conf_dir(), "norm").glob("*.yaml"))
NORMS = [norm for norm in NORMS if norm not in NEED_MORE]


# The loop.


def test_the_loss_falls_on_generated_images(compose: Compose, tmp_path: Path) -> None:
    cfg = compose(
        *SMALL,
        "model.network.widths=[16,16,32,32,32,32]",
        "optimizer=adamw",
        "optimizer.lr=0.02",
        "data.limit=null",
        "batch_size=20",
        "epochs=8",
        "data.crop=0",
        "data.flip=false",
    )
    history = carry_out(cfg, tmp_path).result.history
    losses = [row.train_loss for row in history]
    chance = math.log(10)
    assert losses[0] == pytest.approx(chance, rel=0.1)
    assert losses[-1] < 0.9 * chance
    assert history[-1].train_accuracy > 0.2


def test_how_often_a_training_logs_and_saves_does_not_change_the_result(
    compose: Compose, tmp_path: Path
) -> None:
    often, seldom = (
        carry_out(
            compose(
                *SMALL,
                "norm=both",
                f"runtime.log_every={log_every}",
                f"runtime.checkpoint_seconds={checkpoint_seconds}",
            ),
            tmp_path / str(log_every),
        )
        for log_every, checkpoint_seconds in ((1, 1e-9), (1000, 1e9))
    )
    assert often.training.state.history == seldom.training.state.history
    expected = seldom.training.state.network.state_dict()
    for name, tensor in often.training.state.network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_budget_of_steps_may_end_within_an_epoch(compose: Compose, tmp_path: Path) -> None:
    result = carry_out(compose(*SMALL, "steps=6"), tmp_path).result
    assert result.steps == 6
    assert result.images == 6 * BATCH_SIZE
    assert [row.step for row in result.history] == [STEPS_PER_EPOCH, 6]
    assert [row.images for row in result.history] == [40, 60]


def test_a_stop_leaves_a_checkpoint_of_the_last_step(compose: Compose, tmp_path: Path) -> None:
    with pytest.raises(Stopped) as stopped:
        carry_out(
            compose(*SMALL),
            tmp_path,
            lambda training: signal.SIGTERM if training.state.step == 3 else None,
        )
    assert stopped.value.signal_number == signal.SIGTERM
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    saved = load(checkpoint)
    assert saved["step"] == 3
    assert saved["totals"][2] == 3 * BATCH_SIZE
    assert list(checkpoint.parent.glob(".*")) == []


# With 10 images a step the loss explodes within an epoch. With 40 an epoch is one step, whose
# own loss is from before the explosion: only validation sees it.
@pytest.mark.parametrize("batch_size", [10, 40])
@pytest.mark.parametrize("norm", ["none", "batch", "both", "switchable"])
def test_a_loss_that_explodes_ends_the_run_as_diverged_with_a_result_that_can_be_kept(
    norm: str, batch_size: int, compose: Compose, tmp_path: Path
) -> None:
    cfg = compose(
        *SMALL,
        f"norm={norm}",
        f"batch_size={batch_size}",
        "epochs=4",
        "optimizer.lr=1e30",
        "optimizer.warmup=0",
    )
    outcome = carry_out(cfg, tmp_path)
    assert outcome.result.outcome == "diverged"
    assert outcome.result.test is None
    # Seen at once: in the first epoch, or by its validation.
    steps = outcome.result.steps
    assert steps == (1 if batch_size == 40 else STEPS_PER_EPOCH)
    assert outcome.result.history == ()
    outcome.folder.finish(outcome.result)
    assert outcome.folder.result() == outcome.result


@pytest.mark.parametrize(("epoch", "expected"), [(45, 20), (9, 9)])
def test_the_step_at_which_a_run_has_diverged_does_not_depend_on_the_points_of_its_curves(
    epoch: int, expected: int, compose: Compose, tmp_path: Path
) -> None:
    explodes = ("norm=none", "optimizer.lr=1e30", "optimizer.warmup=0", "epochs=2")
    small = (*explodes, "batch_size=1", f"data.limit={epoch * 10 // 9}")
    for log_every in (1, 7, 1000):
        cfg = compose(*SMALL, *small, f"runtime.log_every={log_every}")
        result = carry_out(cfg, tmp_path / str(log_every)).result
        assert result.outcome == "diverged"
        assert result.steps == expected


# The step, against its formulas in float64.


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_training_steps_are_those_of_the_formulas(label_smoothing: float) -> None:
    num_images, num_classes, num_features, total_steps = 6, 4, 12, 5
    weight_decay, momentum = 0.01, 0.9
    rng = np.random.default_rng(0)
    batches = [
        (rng.normal(size=(num_images, 3, 2, 2)), rng.integers(num_classes, size=num_images))
        for _ in range(3)
    ]
    linear = nn.Linear(num_features, num_classes)
    network = nn.Sequential(nn.Flatten(), linear)
    weight, bias = (p.detach().double().numpy().copy() for p in linear.parameters())
    schedule = Schedule(peak=0.5, warmup=0.4)
    groups = parameter_groups(network, weight_decay)
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=True)
    state = TrainingState.start(network, optimizer, CPU)
    recipe = Recipe(total_steps, schedule, 1, label_smoothing, FP32)

    velocities = [np.zeros_like(weight), np.zeros_like(bias)]
    sums = np.zeros(3)
    for step, (images, labels) in enumerate(batches, start=1):
        x = images.reshape(num_images, -1)
        logits = x @ weight.T + bias
        log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        targets = (1 - label_smoothing) * np.eye(num_classes)[
            labels
        ] + label_smoothing / num_classes
        loss = -log_softmax[range(num_images), labels].mean()  # without label smoothing
        sums += [loss * num_images, (logits.argmax(1) == labels).sum(), num_images]
        by_logits = (np.exp(log_softmax) - targets) / num_images
        gradients = [by_logits.T @ x + weight_decay * weight, by_logits.sum(0)]
        velocities = [momentum * v + g for v, g in zip(velocities, gradients, strict=True)]
        # Two steps of warm-up to 0.5, then half a cosine over the last three.
        lr = {1: 0.25, 2: 0.5, 3: 0.5 * 0.5 * (1 + math.cos(math.pi / 3))}[step]
        weight -= lr * (gradients[0] + momentum * velocities[0])
        bias -= lr * (gradients[1] + momentum * velocities[1])

        training_step(state, [(torch.tensor(images).float(), torch.tensor(labels))], recipe)
        assert state.step == step
        np.testing.assert_allclose(linear.weight.detach(), weight, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(linear.bias.detach(), bias, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(state.totals, sums, rtol=1e-5)


def test_layers_that_follow_steps_hear_of_each_with_the_share_that_is_done() -> None:
    class Follower(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.heard: list[float] = []

        def after_step(self, progress: float) -> None:
            assert not torch.is_grad_enabled()
            self.heard.append(progress)

    follower = Follower()
    optimizer = torch.optim.SGD(parameter_groups(follower, 0), lr=0.1)
    state = TrainingState.start(follower, optimizer, CPU)
    for _ in range(4):
        batch = torch.ones(2, 3), torch.tensor([0, 1])
        training_step(state, [batch], Recipe(4, Schedule(1, 0), 1, 0, FP32))
    assert follower.heard == [0.25, 0.5, 0.75, 1.0]


# The learning rate.


def test_the_learning_rate_rises_to_its_peak_and_falls_as_half_a_cosine_to_zero() -> None:
    schedule = Schedule(peak=0.8, warmup=0.2)
    expected = {0.05: 0.2, 0.1: 0.4, 0.2: 0.8, 0.6: 0.4, 1.0: 0.0}
    # A third of the way down: (1 + cos 60°)/2 = 3/4.
    expected[0.2 + 0.8 / 3] = 0.6
    for progress, lr in expected.items():
        assert schedule.lr(progress) == pytest.approx(lr, abs=1e-12)


def test_the_learning_rate_is_highest_where_the_warm_up_ends() -> None:
    schedule = Schedule(peak=3.0, warmup=0.3)
    rates = {progress / 100: schedule.lr(progress / 100) for progress in range(1, 101)}
    assert max(rates, key=lambda progress: rates[progress]) == 0.3
    assert rates[0.3] == pytest.approx(3.0)
    assert min(rates.values()) == rates[1.0] == pytest.approx(0)


def test_without_a_warm_up_the_learning_rate_only_falls() -> None:
    rates = [Schedule(peak=1.0, warmup=0.0).lr(progress / 10) for progress in range(1, 11)]
    assert rates == sorted(rates, reverse=True)
    assert 0.97 < rates[0] < 1


@pytest.mark.parametrize(
    ("exponent", "factor_at_32", "factor_at_512"),
    [(1.0, 0.25, 4.0), (0.5, 0.5, 2.0), (0.0, 1.0, 1.0)],
)
def test_the_learning_rate_grows_with_the_batch_size_to_the_power_of_the_exponent(
    exponent: float, factor_at_32: float, factor_at_512: float
) -> None:
    peaks = [Schedule.scaled(0.2, 0.1, batch_size, exponent).peak for batch_size in (32, 128, 512)]
    assert peaks == pytest.approx([0.2 * factor_at_32, 0.2, 0.2 * factor_at_512])


def test_the_settings_learning_rate_is_the_one_that_the_optimizer_takes(
    compose: Compose, tmp_path: Path
) -> None:
    cfg = compose(
        *SMALL,
        "norm=both",
        "optimizer.lr=0.3",
        "optimizer.batch_exponent=0.5",
        "optimizer.warmup=0.5",
    )
    with pytest.raises(Stopped):
        carry_out(
            cfg, tmp_path, lambda training: signal.SIGTERM if training.state.step == 4 else None
        )
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    groups = load(checkpoint)["optimizer"]["param_groups"]
    # Four of eight steps are done, so the warm-up is.
    peak = 0.3 * (10 / 128) ** 0.5
    assert sorted({group["lr"] for group in groups}) == pytest.approx([peak, 10 * peak])


# The groups of parameters.


@pytest.mark.parametrize("norm", in_short(NORMS))
def test_every_parameter_is_in_one_group_and_only_weights_of_many_dimensions_decay(
    norm: str, spec_of: Specs
) -> None:
    model = "resnet20" if norm in NEED_RESIDUAL_BRANCHES else "cnn"
    network = build.network(spec_of(f"norm={norm}", f"model={model}"), 10)
    groups = parameter_groups(network, 0.03)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())
    matrices = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
        for name, parameter in module.named_parameters()
        if not name.endswith("bias")
    }
    for group in groups:
        decays = {id(p) in matrices for p in group["params"]}
        assert decays == {group["weight_decay"] == 0.03}
        assert group["weight_decay"] in (0, 0.03)


def test_gates_are_a_group_of_their_own_at_ten_times_the_learning_rate(spec_of: Specs) -> None:
    network = build.network(spec_of("norm=both"), 10)
    groups = parameter_groups(network, 0.03)
    (fast,) = (group for group in groups if group["lr_factor"] != 1)
    gates = {id(p) for name, p in network.named_parameters() if name.endswith(".gate")}
    assert len(gates) == 6
    assert {id(p) for p in fast["params"]} == gates
    assert fast["lr_factor"] == 10
    assert fast["weight_decay"] == 0


def test_the_factor_of_a_group_multiplies_the_learning_rate_of_every_step() -> None:
    class Fast(nn.Module):
        lr_factors = {"quick": 3.0}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.quick = nn.Parameter(torch.zeros(2))
            self.slow = nn.Parameter(torch.zeros(2))

    fast = Fast()
    assert isinstance(fast, ScalesLearningRate)
    optimizer = torch.optim.SGD(parameter_groups(fast, 0), lr=1)
    for lr in (0.5, 0.25):
        set_lr(optimizer, lr)
        rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
        assert rates == {id(fast.quick): 3 * lr, id(fast.slow): lr}


# Stopping.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_first_signal_is_noted_a_second_interrupt_stops_and_afterwards_all_is_as_before(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.signal_number is None
        signal.raise_signal(number)
        assert stop.signal_number == number
        signal.raise_signal(signal.SIGTERM)  # SLURM's, and then that of the sweep
        assert stop.signal_number == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) is before


def test_scales_of_any_shape_do_not_decay_and_shared_weights_step_once() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.layer = nn.Parameter(torch.ones(1, 8, 1, 1)), nn.Linear(8, 1)
            self.tied = nn.Linear(8, 1)
            self.tied.weight = self.layer.weight

    network = Scaled()
    groups = {group["weight_decay"]: group["params"] for group in parameter_groups(network, 0.1)}
    assert [id(each) for each in groups[0.1]] == [id(network.layer.weight)]
    assert id(network.scale) in [id(each) for each in groups[0.0]]
    assert sum(map(len, groups.values())) == 4


def test_scales_of_convolutions_do_not_decay() -> None:
    with warnings.catch_warnings(action="ignore"):
        network = nn.utils.weight_norm(nn.Conv2d(3, 8, 3))  # of (8, 1, 1, 1), in the layer itself
    groups = {group["weight_decay"]: group["params"] for group in parameter_groups(network, 0.1)}
    assert [id(each) for each in groups[0.1]] == [id(network.weight_v)]
