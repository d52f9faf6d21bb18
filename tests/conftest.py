from __future__ import annotations

from collections.abc import Callable

import hydra
import pytest
import torch
from hydra import initialize_config_dir
from omegaconf import DictConfig

from normexp import build

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def compose() -> Callable[..., DictConfig]:
    """The settings of `normexp train <overrides>`."""

    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(build.conf_dir(), version_base="1.3"):
            return hydra.compose("train", overrides=list(overrides))

    return composed
