"""How long a sweep may take, from the runs that are finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.results import result
from helpers.stand_in import Compose, StandIn, stand_in

from normexp.runs.result import Timing
from normexp.sweep.forecast import expected_seconds


@pytest.mark.parametrize(
    ("overrides", "seconds"),
    [
        ("epochs=2 seed=1", 60.0),
        ("epochs=600", 18000.0),
        ("epochs=600 batch_size=9", 18000.0),
        ("steps=5 batch_size=20", 30.0),
        ("steps=5 batch_size=10 accumulate=2", 30.0),
        ("epochs=0", 0.0),
        ("epochs=2 data.limit=50", None),
    ],
)
def test_a_run_takes_as_long_as_its_images_do(
    overrides: str, seconds: float | None, compose: Compose, tmp_path: Path
) -> None:
    done = stand_in(compose, tmp_path, "epochs=2")
    done.open(None)
    done.folder.finish(replace(result(), images=200, timing=Timing(60.0, (30.0, 30.0), 3.3)))
    expected = None if seconds is None else pytest.approx(seconds)
    assert expected_seconds([done], [stand_in(compose, tmp_path, overrides)]) == expected


def test_runs_of_the_same_model_and_batch_size_tell_before_others(
    compose: Compose, tmp_path: Path
) -> None:
    def finished(overrides: str, seconds: float) -> StandIn:
        cell = stand_in(compose, tmp_path, overrides)
        cell.open(None)
        timing = Timing(seconds, (seconds,), 1.0)
        cell.folder.finish(replace(result(), images=100, timing=timing))
        return cell

    done = [finished("epochs=1 batch_size=4", 60.0), finished("epochs=1 batch_size=8", 20.0)]
    for batch_size, seconds in ((4, 180.0), (8, 60.0), (16, 120.0)):
        to_do = stand_in(compose, tmp_path, f"epochs=3 batch_size={batch_size}")
        assert expected_seconds(done, [to_do]) == pytest.approx(seconds)


def test_a_run_without_training_tells_nothing(compose: Compose, tmp_path: Path) -> None:
    done = stand_in(compose, tmp_path, "epochs=0")
    done.open(None)
    done.folder.finish(replace(result(), images=0, timing=Timing(0.0, (), 0.0)))
    assert expected_seconds([done], [stand_in(compose, tmp_path, "epochs=1")]) is None
