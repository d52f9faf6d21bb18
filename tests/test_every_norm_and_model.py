"""Every norm in every model: an epoch on drawn images lowers the loss, or ends as diverged."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.needs import NEED_RESIDUAL_BRANCHES
from hydra import compose, initialize_config_dir
from torch import Tensor

from normexp import build
from normexp.engine.fit import Training, training_step
from normexp.errors import UserError

CONF = Path(build.conf_dir())
NORMS = sorted(p.stem for p in (CONF / "norm").glob("*.yaml") if p.stem != "custom")
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml"))


def built(norm: str, model: str) -> Training:
    overrides = [
        f"norm={norm}",
        f"model={model}",
        "data=generated",
        "data.source.num_train=20",
        "data.source.num_test=10",
        "data.crop=0",
        "data.flip=false",
        "batch_size=6",
        "epochs=25",  # of which the test makes the first
        "optimizer.warmup=0",
        "optimizer.lr=0.001",
        "optimizer.batch_exponent=0",
        "runtime.threads=1",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides)
    return build.training(cfg, *build.run_spec(cfg))[0]


def loss(training: Training, batch: tuple[Tensor, Tensor]) -> float:
    """In training mode, as the optimizer saw it; two steps of three are far from calibration."""
    images, labels = batch
    torch.manual_seed(0)  # the same noise before and after, where a norm draws some
    with torch.no_grad():
        return F.cross_entropy(training.state.network(images), labels).item()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_an_epoch_lowers_the_loss(norm: str, model: str) -> None:
    if norm in NEED_RESIDUAL_BRANCHES and model == "cnn":
        with pytest.raises(UserError, match=rf"^norm={norm}, model=cnn: .* no residual branches"):
            built(norm, model)
        return
    training = built(norm, model)
    state, epoch = training.state, training.loader.epoch(0)
    batches = [epoch.batch(i) for i in range(training.loader.steps_per_epoch)]
    state.network.train()
    before = sum(loss(training, batch) for batch in batches)
    for batch in batches:
        training_step(state, *batch, training.recipe)
    after = sum(loss(training, batch) for batch in batches)
    assert after < before or not isfinite(after)
