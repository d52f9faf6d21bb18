from __future__ import annotations

import copy
import gc
import signal
from collections.abc import Callable
from functools import cache

import hydra
import pytest
import torch
import yaml  # type: ignore[import-untyped]
from hydra import initialize_config_dir
from omegaconf import DictConfig

from normexp import build
from normexp.runs.spec import RunSpec

torch.set_num_threads(1)
# What starts in the background of a script has Ctrl-C ignored, and so has what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Settings are read hundreds of times, which libyaml does at a tenth of the time.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def pytest_collection_finish() -> None:
    """Leave out of every later collection what is here to stay."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def compose() -> Callable[..., DictConfig]:
    """The settings of `normexp train <overrides>`."""

    @cache
    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(build.conf_dir(), version_base="1.3"):
            return hydra.compose("train", overrides=list(overrides))

    return lambda *overrides: copy.deepcopy(composed(*overrides))


@pytest.fixture(scope="session")
def spec_of(compose: Callable[..., DictConfig]) -> Callable[..., RunSpec]:
    """The `RunSpec` of `normexp train <overrides>`."""
    return cache(lambda *overrides: build.run_spec(compose(*overrides))[0])
