"""Every norm in every model: an epoch on drawn images lowers the loss, or ends as diverged."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.needs import NEED_MORE, NEED_RESIDUAL_BRANCHES, NETWORKS_OF_OTHERS
from helpers.short import KINDS
from omegaconf import DictConfig
from torch import Tensor

from normexp import build
from normexp.engine.fit import Training
from normexp.engine.step import training_step
from normexp.errors import UserError

Compose = Callable[..., DictConfig]
CONF = Path(build.conf_dir())
NORMS = sorted(p.stem for p in (CONF / "norm").glob("*.yaml") if p.stem not in NEED_MORE)
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml") if p.stem not in NETWORKS_OF_OTHERS)


def built(norm: str, model: str, compose: Compose) -> Training:
    overrides = [
        f"norm={norm}",
        f"model={model}",
        "data=generated",
        "data.source.num_train=20",
        "data.source.num_test=10",
        "data.crop=0",
        "data.flip=false",
        *(["model.network.widths=[8,8,8,16,16,16]"] if model == "cnn" else []),
        "batch_size=6",
        "epochs=25",  # of which the test makes the first
        "optimizer.warmup=0",
        "optimizer.lr=0.001",
        "optimizer.batch_exponent=0",
        "runtime.threads=1",
    ]
    return build.training(*build.run_spec(compose(*overrides)))[0]


def loss(training: Training, batch: tuple[Tensor, Tensor]) -> float:
    """In training mode, as the optimizer saw it; two steps of three are far from calibration."""
    images, labels = batch
    torch.manual_seed(0)  # the same noise before and after, where a norm draws some
    with torch.no_grad():
        return F.cross_entropy(training.state.network(images), labels).item()


# A few norms stand for all in ResNet-20, and ResNet-18 takes four seconds each.
ALWAYS = {"cnn": KINDS, "resnet20": ["both", "fixup"]}
CASES = [
    pytest.param(norm, model, marks=() if norm in ALWAYS.get(model, ()) else pytest.mark.slow)
    for model in MODELS
    for norm in NORMS
]


@pytest.mark.parametrize(("norm", "model"), CASES)
def test_an_epoch_lowers_the_loss(norm: str, model: str, compose: Compose) -> None:
    if norm in NEED_RESIDUAL_BRANCHES and model == "cnn":
        with pytest.raises(UserError, match=rf"^norm={norm}, model=cnn: .* no residual branches"):
            built(norm, model, compose)
        return
    training = built(norm, model, compose)
    state, epoch = training.state, training.loader.epoch(0)
    batches = [epoch.batch(i) for i in range(training.loader.batches_per_epoch)]
    state.network.train()
    before = sum(loss(training, batch) for batch in batches)
    for batch in batches:
        training_step(state, [batch], training.recipe)
    after = sum(loss(training, batch) for batch in batches)
    assert after < before or not isfinite(after)
