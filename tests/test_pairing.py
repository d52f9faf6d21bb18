"""Runs of one seed are pairs: they differ in the norm and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.needs import NEED_RESIDUAL_BRANCHES
from helpers.short import in_short
from torch import Tensor, nn

from normexp import build
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec

Specs = Callable[..., RunSpec]


def complete_norms() -> list[str]:
    """The norms of conf/norm that need nothing more from the user."""
    files = sorted(Path(build.conf_dir(), "norm").glob("*.yaml"))
    return [f.stem for f in files if "???" not in f.read_text() and f.stem != "own"]


NORMS = complete_norms()
# A tenth of the shipped CNN; group norm's 8 groups divide every width.
WIDTHS = [8, 16, 16, 24, 24, 32]
SMALL = f"model.network.widths={WIDTHS}"


def network(spec_of: Specs, norm: str, *overrides: str) -> nn.Module:
    return build.network(spec_of(f"norm={norm}", *overrides), num_classes=10)


def weights(of: nn.Module) -> dict[str, Tensor]:
    """The weights of convolutions and linear layers, before any reparameterisation."""
    layers = [name for name, m in of.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    own = {
        name.replace("parametrizations.", "").removesuffix(".original"): parameter.detach()
        for name, parameter in of.named_parameters()
    }
    kinds = ("weight", "bias")
    return {
        f"{n}.{kind}": own[f"{n}.{kind}"] for n in layers for kind in kinds if f"{n}.{kind}" in own
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, bool]:
    assert one.keys() == other.keys()
    return {name: torch.equal(one[name], other[name]) for name in one}


def test_the_norms_of_the_question_are_there() -> None:
    assert {"batch", "instance", "both", "none", "group", "layer"} <= set(NORMS)


@pytest.fixture(scope="module")
def reference(spec_of: Specs) -> dict[str, Tensor]:
    """Where a network with batch norm starts."""
    return weights(network(spec_of, "batch", SMALL, "seed=3"))


@pytest.mark.parametrize("norm", in_short(sorted(set(NORMS) - set(NEED_RESIDUAL_BRANCHES))))
def test_every_norm_starts_from_the_same_convolutions_and_head(
    spec_of: Specs, reference: dict[str, Tensor], norm: str
) -> None:
    assert len(reference) == 6 + 2
    torch.manual_seed(123)  # what happened before does not matter
    found = weights(network(spec_of, norm, SMALL, "seed=3"))
    assert all(same(found, reference).values())


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        *((model, norm) for model in ("cnn", "resnet20") for norm in ("instance", "both", "ibn_b")),
        ("resnet20", "skipinit"),
    ],
)
def test_so_it_is_in_the_shipped_networks(spec_of: Specs, model: str, norm: str) -> None:
    reference = weights(network(spec_of, "batch", f"model={model}"))
    found = weights(network(spec_of, norm, f"model={model}"))
    assert all(same(found, reference).values())


def test_another_seed_starts_from_other_weights_everywhere(spec_of: Specs) -> None:
    one, other = (weights(network(spec_of, "batch", SMALL, f"seed={seed}")) for seed in (0, 1))
    assert not any(same(one, other).values())


def test_building_a_network_leaves_the_global_generator_alone(spec_of: Specs) -> None:
    state = torch.get_rng_state()
    network(spec_of, "batch", SMALL)
    assert torch.equal(torch.get_rng_state(), state)


# Parameters more than a scale and a shift for each of the norms' channels.
EXTRA = {
    **dict.fromkeys(("batch", "instance", "none", "group", "layer", "mean", "serial"), 0),
    **dict.fromkeys(("ghost", "renorm", "batch_memory", "weight", "weight_std"), 0),
    **dict.fromkeys(("weight_mean_batch", "instance_noisy", "group_noisy"), 0),
    **dict.fromkeys(("stem_instance", "by_depth", "split"), 0),
    **dict.fromkeys(("no_stem", "instance_not_stem", "extended_batch", "batch_frozen"), 0),
    **dict.fromkeys(("group_batch", "layer_batch", "layer2d", "rms2d", "grn"), 0),
    "instance_plain": -2 * sum(WIDTHS),  # no scale and no shift
    "dyt": len(WIDTHS),  # alpha
    "derf": 2 * len(WIDTHS),  # alpha and shift
    **dict.fromkeys(("evonorm_b0", "evonorm_s0"), sum(WIDTHS)),  # v for each channel
    "both": sum(WIDTHS),  # a gate for each channel
    "frn": sum(WIDTHS),  # a threshold for each channel
    "switchable": 6 * len(WIDTHS),  # six weights for each norm
    "ibn_b": 2 * (WIDTHS[2] + WIDTHS[4]),  # a norm each after stages 1 and 2
}


@pytest.mark.parametrize("norm", in_short(EXTRA))
def test_a_norm_has_as_many_parameters_as_its_definition_asks(spec_of: Specs, norm: str) -> None:
    channels = [3, *WIDTHS]
    convolutions = sum(9 * i * o for i, o in zip(channels, WIDTHS, strict=False))
    head = 10 * (WIDTHS[-1] + 1)
    expected = convolutions + head + 2 * sum(WIDTHS) + EXTRA[norm]
    built = network(spec_of, norm, SMALL)
    assert sum(p.numel() for p in built.parameters() if p.requires_grad) == expected


RUNTIME = Runtime("outputs", "~/.cache/normexp", "cpu", None, 1, 20, 60, None)
TINY_DATA = (
    "data=generated",
    "data.source.num_train=40",
    "data.source.num_test=10",
    "batch_size=8",
)


def batches_of(spec_of: Specs, *overrides: str) -> tuple[list[Tensor], list[int]]:
    """The images of two epochs of a run, its held-out and its test images; and all labels."""
    spec = spec_of(SMALL, *TINY_DATA, "data.val_fraction=0.25", *overrides)
    training, _ = build.training(spec, RUNTIME)
    epochs = [training.loader.epoch(k) for k in (0, 1)]
    batches = [e.batch(i) for e in epochs for i in range(training.loader.batches_per_epoch)]
    labels = [label for _, of_batch in batches for label in of_batch.tolist()]
    assert len(batches) == 2 * 3
    return [x for x, _ in batches] + [training.data.val.images, training.data.test.images], labels


@pytest.mark.parametrize("norm", ["instance", "both", "none"])
def test_every_norm_meets_the_same_batches(spec_of: Specs, norm: str) -> None:
    images, labels = batches_of(spec_of, "norm=batch", "contrast=strong", "seed=2")
    found, found_labels = batches_of(spec_of, f"norm={norm}", "contrast=strong", "seed=2")
    assert all(torch.equal(a, b) for a, b in zip(images, found, strict=True))
    assert found_labels == labels


def test_another_seed_has_other_batches_but_the_same_held_out_images(spec_of: Specs) -> None:
    images, _ = batches_of(spec_of, "seed=0")
    others, _ = batches_of(spec_of, "seed=1")
    assert not any(torch.equal(a, b) for a, b in zip(images[:-2], others[:-2], strict=True))
    assert torch.equal(images[-2], others[-2])
    assert torch.equal(images[-1], others[-1])


def test_another_contrast_has_the_same_order_of_images(spec_of: Specs) -> None:
    _, labels = batches_of(spec_of, "contrast=none")
    changed, same_labels = batches_of(spec_of, "contrast=jitter")
    assert same_labels == labels
    assert not torch.equal(changed[0], batches_of(spec_of, "contrast=none")[0][0])
