"""SIGTERM and SIGINT end a command soon, and it goes on from there."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .commands import (
    GRID,
    ONE,
    SMALL,
    Findings,
    Start,
    assert_undisturbed,
    found,
    has_checkpoint,
    is_gone,
    wait_until,
)
from .moments import hit
from .size import IS_FULL, chance, size

SECONDS = 5.0
SWEEP = pytest.mark.skipif(not IS_FULL, reason="tests/sweep stops small ones")


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
    ids=lambda n: n.name,
)
@pytest.mark.parametrize(
    ("arguments", "undisturbed"),
    [(ONE, "whole"), pytest.param(GRID, "whole_sweep", marks=SWEEP)],
)
def test_what_is_stopped_at_random_moments_ends_soon_and_goes_on_from_there(
    arguments: tuple[str, ...],
    undisturbed: str,
    number: signal.Signals,
    start: Start,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    expected: Findings = request.getfixturevalue(undisturbed)
    moments, stops = chance(number), size(1, 20)
    done = checkpoints = finished = 0
    longest = 0.0
    while done < stops:
        where = tmp_path / str(done)
        command = start(where, "train", *SMALL, *arguments)
        if hit(where, command, number, moments, at_cells=False)[0]:
            began = time.monotonic()
            code = command.wait()
            longest = max(longest, time.monotonic() - began)
            # As a shell counts it: handled, or not yet; after its last step a run finishes.
            assert code in (128 + number, -number, 0), command.said()
            done += 1
            finished += code == 0
            checkpoints += has_checkpoint(where)
        command.wait()
        wait_until(lambda: all(map(is_gone, command.processes)))  # noqa: B023
        while found(where).keys() != expected.keys():
            command = start(where, "train", *SMALL, *arguments)
            assert command.wait() == 0, command.said()
        assert_undisturbed(where, expected, command)
    assert longest < SECONDS
    print(
        f"{done} hit by {number.name}: {finished} finished, {checkpoints} left a checkpoint, "
        f"{longest:.2f} s at the longest"
    )
