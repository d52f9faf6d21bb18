from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commands import (
    GRID,
    NUM_CELLS,
    ONE,
    SMALL,
    Findings,
    Start,
    found,
    has_checkpoint,
    left_over,
    run_folder,
    starter,
    wait_until,
)


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    with starter() as started:
        yield started


@pytest.fixture(scope="session")
def whole_folder(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    command = start(folder, "train", *SMALL, *ONE)
    assert command.wait() == 0, command.said()
    assert left_over(folder) == []
    return folder


@pytest.fixture(scope="session")
def whole(whole_folder: Path) -> Findings:
    """What the undisturbed run has found."""
    return found(whole_folder)


@pytest.fixture(scope="session")
def whole_sweep(
    start: Start, whole: Findings, tmp_path_factory: pytest.TempPathFactory
) -> Findings:
    """What an undisturbed sweep has found."""
    folder = tmp_path_factory.mktemp("sweep")
    command = start(folder, "train", *SMALL, *GRID)
    assert command.wait() == 0, command.said()
    assert left_over(folder) == []
    findings = found(folder)
    assert len(findings) == NUM_CELLS
    # A run alone and the same one in a sweep.
    (name,) = whole
    assert findings[name] == whole[name]
    return findings


@pytest.fixture(scope="session")
def stopped_folder(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run half done."""
    folder = tmp_path_factory.mktemp("stopped")
    command = start(folder, "train", *SMALL, *ONE)
    wait_until(lambda: has_checkpoint(folder))
    command.kill(signal.SIGTERM)
    assert command.wait() == 128 + signal.SIGTERM, command.said()
    return folder


@pytest.fixture
def stopped(stopped_folder: Path, tmp_path: Path) -> Path:
    """A copy of the run half done, to be damaged: the run's own folder."""
    return run_folder(shutil.copytree(stopped_folder, tmp_path / "stopped"))


@pytest.fixture
def finished(whole_folder: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged: the run's own folder."""
    return run_folder(shutil.copytree(whole_folder, tmp_path / "finished"))
