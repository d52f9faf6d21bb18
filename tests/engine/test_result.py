"""What stands in a result beside the curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from helpers.small_run import SMALL, carry_out
from omegaconf import DictConfig

Compose = Callable[..., DictConfig]


def test_unequal_inputs_are_measured_where_they_are_asked_for(
    compose: Compose, tmp_path: Path
) -> None:
    cfg = compose(*SMALL, "data.gain_spread=1", "data.red_scale=10")
    outcome = carry_out(cfg, tmp_path)
    test = outcome.result.test
    assert test is not None
    assert test.without_channel is not None
    assert test.without_channel.keys() == {"red", "green", "blue"}
    by_gain = test.by_gain
    assert by_gain is not None
    assert len(by_gain.accuracy) == len(by_gain.gradient_norm) == 4
    assert min(by_gain.gradient_norm) > 0
    # Ten test images are quarters of 3, 3, 2 and 2.
    right = sum(a * n for a, n in zip(by_gain.accuracy, (3, 3, 2, 2), strict=True))
    assert round(right) == round(10 * test.accuracy)


def test_other_runs_have_no_such_measures(compose: Compose, tmp_path: Path) -> None:
    test = carry_out(compose(*SMALL), tmp_path).result.test
    assert test is not None
    assert (test.by_gain, test.without_channel) == (None, None)
