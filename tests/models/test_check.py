from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from normexp import build
from normexp.models.check import check
from normexp.norms.batch import BatchNorm
from normexp.runs.spec import RunSpec


def halving(norm: nn.Module, activation: nn.Module | None = None) -> nn.Sequential:
    """Convolution to half the size, norm, activation, average pooling, linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        norm,
        activation or nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def test_instance_norm_on_maps_of_one_pixel_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match=r"layer 1 \(input \[4, 8, 1, 1\]\) cannot work"):
        check(halving(nn.InstanceNorm2d(8)), (2, 2), batch_size=4, num_classes=10)


def test_a_layer_deep_in_the_network_is_named_in_full() -> None:
    network = nn.Sequential(nn.ReLU(), halving(nn.InstanceNorm2d(8)))
    with pytest.raises(ValueError, match=r"layer 1\.1 "):
        check(network, (2, 2), batch_size=4, num_classes=10)


def test_batch_norm_on_one_value_a_channel_is_refused_and_named() -> None:
    network = halving(nn.BatchNorm2d(8))
    message = r"layer 1 \(input \[1, 8, 1, 1\]\) cannot work in training at batch_size=1"
    with pytest.raises(ValueError, match=message):
        check(network, (2, 2), batch_size=1, num_classes=10)
    assert check(network, (2, 2), batch_size=2, num_classes=10) is None
    assert check(network, (4, 4), batch_size=1, num_classes=10) is None


class Flat(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(1)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Flat(8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y


@pytest.mark.parametrize("norm", [Flat(8), Nested()])
def test_a_norm_that_changes_the_shape_is_named_with_both(norm: nn.Module) -> None:
    message = (
        r"layer 1 \(input \[4, 8, 2, 2\]\) .*it returns \[4, 2, 2\], and a norm keeps the shape"
    )
    with pytest.raises(ValueError, match=message):
        check(halving(norm), (4, 4), 4, 10, ["1"])


@pytest.mark.parametrize("last", [nn.Linear(8, 5), nn.Unflatten(1, (8, 1, 1))])
def test_logits_of_another_number_of_classes_are_refused_with_both(last: nn.Module) -> None:
    network = halving(nn.BatchNorm2d(8))
    network[-1] = last
    with pytest.raises(ValueError, match=r"the network .*for 4 images, and logits \[4, 10\] are"):
        check(network, (4, 4), 4, 10)


class Tuples(nn.Module):
    """A layer with an output that is no tensor, and one called by a keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.act = nn.LSTM(8, 8), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(input=self.lstm(x[None])[0][0])
        return y


def test_layers_of_any_output_and_call_are_let_through() -> None:
    network = halving(nn.BatchNorm2d(8))
    network[-1] = nn.Sequential(Tuples(), nn.Linear(8, 10))
    assert check(network, (4, 4), 4, 10) is None


class ByKeyword(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        called: torch.Tensor = self.norm(input=x)
        return called


def test_a_norm_may_be_called_by_keyword() -> None:
    assert check(halving(ByKeyword(BatchNorm(8))), (4, 4), 4, 10, norms=["1.norm"]) is None
    message = r"layer 1\.norm \(input \[4, 8, 2, 2\]\) .*it returns \[4, 8, 1, 1\]"
    pooled = ByKeyword(nn.AdaptiveAvgPool2d(1))
    with pytest.raises(ValueError, match=message):
        check(halving(pooled), (4, 4), 4, 10, norms=["1.norm"])


class FailsInEvaluation(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            raise RuntimeError("not trained yet")
        return x


def test_a_layer_that_works_in_training_only_is_refused() -> None:
    message = "layer 1 .*cannot work in evaluation .*not trained yet"
    with pytest.raises(ValueError, match=message):
        check(halving(FailsInEvaluation()), (4, 4), batch_size=2, num_classes=10)


def test_a_network_that_does_not_fit_the_images_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with pytest.raises(ValueError, match=r"layer 1 \(input \[2, 768\]\)"):
        check(network, (16, 16), batch_size=2, num_classes=10)


class Viewed(nn.Module):
    """A network that flattens maps by `view`, as tutorials do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.conv(x).view(len(x), -1))
        return y


def test_view_on_maps_that_are_channels_last_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"layer conv .*x\.flatten\(1\) in the place of"):
        check(Viewed(), (4, 4), batch_size=4, num_classes=10)


@pytest.mark.parametrize(
    "steps",
    [
        nn.Identity(),
        nn.Conv2d(8, 8, 1),
        nn.Sequential(nn.Conv2d(8, 8, 1), nn.AvgPool2d(2), nn.Dropout(0.0)),
    ],
)
def test_an_average_of_what_instance_norm_centred_is_warned_of(steps: nn.Module) -> None:
    warning = check(
        halving(nn.InstanceNorm2d(8, affine=True), steps), (16, 16), batch_size=4, num_classes=10
    )
    assert warning is not None
    assert "same answer" in warning
    assert "chance" in warning


@pytest.mark.parametrize("steps", [nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1)])
def test_a_step_that_is_not_linear_or_sees_the_border_is_not_warned_of(steps: nn.Module) -> None:
    assert (
        check(
            halving(nn.InstanceNorm2d(8, affine=True), steps),
            (16, 16),
            batch_size=4,
            num_classes=10,
        )
        is None
    )


def test_batch_norm_before_an_average_is_not_warned_of() -> None:
    assert (
        check(halving(nn.BatchNorm2d(8), nn.Identity()), (16, 16), batch_size=4, num_classes=10)
        is None
    )


@pytest.mark.parametrize("norm", ["batch", "instance", "none", "layer"])
@pytest.mark.parametrize("model", ["cnn", "resnet20"])
def test_the_shipped_networks_work_without_a_warning(
    spec_of: Callable[..., RunSpec], model: str, norm: str
) -> None:
    network = build.network(
        spec_of("data=generated", f"model={model}", f"norm={norm}"), num_classes=10
    )
    for batch_size in (1, 128):
        assert check(network, (32, 32), batch_size, 10) is None


def test_the_cnn_that_pools_right_after_instance_norm_is_warned_of(
    spec_of: Callable[..., RunSpec],
) -> None:
    def warning(*overrides: str) -> str | None:
        network = build.network(spec_of("data=generated", *overrides), num_classes=10)
        return check(network, (32, 32), 8, 10)

    assert "same answer" in (warning("norm=instance", "model.after=pool") or "")
    assert warning("norm=batch", "model.after=pool") is None
    assert warning("norm=instance", "model.after=flatten") is None


def test_resnet18_on_small_images_has_maps_that_instance_norm_can_use(
    spec_of: Callable[..., RunSpec],
) -> None:
    spec = spec_of("data=generated", "model=resnet18", "norm=instance")
    network = build.network(spec, num_classes=10)
    assert check(network, (16, 16), batch_size=1, num_classes=10) is None
    with pytest.raises(ValueError, match=r"layer layer4\.\S+ \(input \[1, 512, 1, 1\]\)"):
        check(network, (8, 8), batch_size=1, num_classes=10)


@pytest.mark.parametrize("training", [True, False])
def test_the_check_changes_nothing(training: bool) -> None:
    network = halving(nn.BatchNorm2d(8), nn.Dropout(0.5)).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()

    check(network, (8, 8), batch_size=4, num_classes=10)

    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert network.training is training
    assert all(module.training is training for module in network.modules())
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), state)


class Returns(nn.Module):
    def __init__(self, output: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor) -> object:
        return self.output(x)


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (lambda x: None, "NoneType"),
        (lambda x: x[:1], r"\[1, 8, 2, 2\]"),
        (lambda x: (x, x), "tuple"),
    ],
)
def test_a_layer_that_returns_something_else_is_refused_and_named(
    output: Callable[[torch.Tensor], object], named: str
) -> None:
    with pytest.raises(ValueError, match=f"layer 1 .* it returns {named}"):
        check(halving(Returns(output)), (4, 4), 4, 10, ["1"])


def test_without_running_statistics_the_answer_hangs_on_the_other_images() -> None:
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    assert "other images" in str(check(halving(norm), (8, 8), batch_size=4, num_classes=10))
    assert check(halving(nn.BatchNorm2d(8)), (8, 8), batch_size=4, num_classes=10) is None
