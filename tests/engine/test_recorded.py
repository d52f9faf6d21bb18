"""A training step that is recorded on a GPU: what of it can be tested without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.needs import NEED_MORE, NEED_RESIDUAL_BRANCHES
from helpers.short import in_short
from omegaconf import DictConfig
from torch import Tensor, nn

from normexp import build, shipped
from normexp.engine.fit import Training
from normexp.engine.muon import Muon
from normexp.engine.recorded import WARM_UP, Batches, Recorded, why_not
from normexp.engine.schedule import Schedule, parameter_groups, set_lr
from normexp.engine.state import TrainingState
from normexp.engine.step import Recipe, descend, training_step
from normexp.precision import Precision

CPU = torch.device("cpu")
Compose = Callable[..., DictConfig]


def batch(value: float, size: int = 2) -> Batches:
    return [(torch.full((size, 3, 8, 8), value), torch.arange(size))]


class Recorder:
    """In the place of a CUDA graph: notes what is carried out, and with which inputs."""

    def __init__(self, refuses: bool = False) -> None:
        self.seen: list[tuple[str, float]] = []
        self.captures, self.refuses, self.notes = 0, refuses, list[str]()
        self.step = Recorded(
            lambda batches: self.carry_out("launched", batches), self.capture, self.notes.append
        )

    def carry_out(self, how: str, batches: Batches) -> None:
        self.latest = batches
        self.seen.append((how, batches[0][0].mean().item()))

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        if self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        run()
        self.seen.pop()  # a recording carries nothing out
        static = self.latest
        return lambda: self.carry_out("replayed", static)


def test_the_fourth_step_is_recorded_and_every_step_is_carried_out_once() -> None:
    recorder = Recorder()
    for value in range(6):
        recorder.step(batch(float(value)))
    launched = [("launched", float(value)) for value in range(WARM_UP)]
    assert recorder.seen == [*launched, ("replayed", 3.0), ("replayed", 4.0), ("replayed", 5.0)]
    assert recorder.captures == 1


def test_a_step_that_changes_is_recorded_anew() -> None:
    recorder = Recorder()
    for value in range(5):
        recorder.step(batch(float(value)))
    recorder.step.forget()
    for value in range(5):
        recorder.step(batch(float(value)))
    assert [how for how, _ in recorder.seen] == 2 * [*3 * ["launched"], *2 * ["replayed"]]
    assert recorder.captures == 2


def test_what_cannot_be_recorded_goes_on_as_it_is_and_is_told_once() -> None:
    recorder = Recorder(refuses=True)
    for value in range(8):
        recorder.step(batch(float(value)))
    assert recorder.seen == [("launched", float(value)) for value in range(8)]
    assert recorder.captures == 1
    assert recorder.notes == [
        "training steps are not recorded as a CUDA graph: "
        "operation not permitted when stream is capturing"
    ]


def test_layers_and_optimizers_that_may_change_from_step_to_step_are_not_recorded() -> None:
    class Own(nn.Linear):
        pass

    known, own = nn.Linear(2, 2), nn.Sequential(Own(2, 2))
    sgd = torch.optim.SGD(known.parameters(), fused=True)
    assert why_not(known, sgd) is None
    assert "Own is code of your own" in str(why_not(own, sgd))
    assert why_not(known, torch.optim.AdamW(known.parameters())) is None
    plain = torch.optim.SGD(known.parameters(), foreach=True)
    assert "SGD reads its learning rate on the CPU" in str(why_not(known, plain))


def of_sgd(parameters: list[dict[str, object]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1.0, momentum=0.9, nesterov=True, fused=True)


def of_adamw(parameters: list[dict[str, object]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1.0, fused=True)


def of_muon(parameters: list[dict[str, object]]) -> torch.optim.Optimizer:
    return Muon(parameters, 1.0, momentum=0.6, ns_steps=3, sgd_factor=5.0, sgd_momentum=0.85)


@pytest.mark.parametrize("optimizer", [of_sgd, of_adamw, of_muon])
def test_a_learning_rate_in_a_tensor_moves_weights_as_a_number_does(
    optimizer: Callable[[list[dict[str, object]]], torch.optim.Optimizer],
) -> None:
    weights: list[list[Tensor]] = []
    for in_tensor in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
        made = optimizer(parameter_groups(net, 1e-3))
        for group in made.param_groups if in_tensor else ():
            group["lr"] = torch.zeros(())
        images = torch.randn(4, 3, 8, 8)
        for lr in (0.01, 0.03, 0.02):
            set_lr(made, lr)
            made.zero_grad()
            net(images).square().mean().backward()
            made.step()
        weights.append([p.detach().clone() for p in net.parameters()])
    for number, tensor in zip(*weights, strict=True):
        torch.testing.assert_close(tensor, number, rtol=1e-6, atol=1e-7)


def test_frozen_statistics_have_the_step_recorded_anew(compose: Compose) -> None:
    training = small(compose, "batch_frozen", "cnn")
    state, recipe, captures = training.state, Recipe(20, Schedule(0.1, 0), 1, 0, FP32), []

    def capture(run: Callable[[], None]) -> Callable[[], None]:
        captures.append(state.step)
        return run

    graph = Recorded(lambda batches: descend(state, batches, recipe), capture, print)
    for _ in range(20):
        training_step(state, batch(1.0), recipe, graph)
    assert captures == [3, 13]  # the statistics are frozen after 10 of 20 steps


FP32 = Precision("fp32", CPU)
CASES = [
    *in_short((n for n in sorted(shipped.choices("norm")) if n not in NEED_MORE), "cnn"),
    *in_short(("both", *NEED_RESIDUAL_BRANCHES), "resnet20"),
]


def small(compose: Compose, norm: str, model: str) -> Training:
    sizes = "model.network.widths=[8,8,8,8,8,8]" if model == "cnn" else "optimizer.lr=0.01"
    images = ("data=generated", "data.source.num_train=20", "data.source.num_test=10")
    overrides = (f"norm={norm}", f"model={model}", *images, "batch_size=4", "kernels=none", sizes)
    return build.training(*build.run_spec(compose(*overrides)))[0]


@pytest.mark.parametrize(("norm", "model"), CASES)
def test_a_step_waits_for_no_value_and_mixes_no_devices(
    norm: str, model: str, compose: Compose
) -> None:
    """Tensors of the device `meta` have no values: reading one, or mixing devices, is an error."""
    if norm in NEED_RESIDUAL_BRANCHES and model == "cnn":
        pytest.skip("needs residual branches")
    training = small(compose, norm, model)
    training_step(training.state, training.batches(0), training.recipe)  # the first sets up state
    network = training.state.network.to("meta")
    optimizer = torch.optim.SGD(parameter_groups(network, 1e-4), lr=0.1, momentum=0.9)
    state = TrainingState.start(network, optimizer, torch.device("meta"))
    images, labels = torch.empty(4, 3, 32, 32, device="meta"), torch.zeros(4, device="meta").long()
    for _ in range(2):
        training_step(state, [(images, labels)], training.recipe)
    assert all(p.grad is not None and p.grad.is_meta for p in network.parameters())
