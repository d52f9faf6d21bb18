"""A full disk, a read-only folder and a deleted one: a clear line, and what is finished stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .commands import (
    GRID,
    NUM_CELLS,
    ONE,
    SMALL,
    Command,
    Findings,
    Start,
    found,
    has_checkpoint,
    left_over,
    run_folder,
    wait_until,
)
from .size import IS_FULL, chance, size

KILOBYTES = 4096
FULL = "normexp: No space left on device"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(folder)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave `left` bytes; return the file that takes the rest."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.truncate(0)
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - left))
    return ballast


def assert_one_line(command: Command, *parts: str) -> None:
    """Its log has one complaint, and nothing of Python's."""
    said = command.said()
    assert "Traceback" not in said
    complaints = [line for line in said.splitlines() if line.startswith("normexp: ")]
    assert len(complaints) == 1, said
    for part in parts:
        assert part in complaints[0]


def away(where: Path, start: Start) -> Callable[..., Command]:
    """Start commands beside `where`, with their runs in it: a log needs room too."""
    beside = where.parent / "beside"

    def started(*arguments: str) -> Command:
        (beside / "said").unlink(missing_ok=True)
        return start(beside, "train", *SMALL, *arguments, f"runtime.outputs={where}/outputs")

    return started


def test_a_run_on_a_full_disk_ends_with_a_line_and_goes_on_once_there_is_room(
    start: Start, whole: Findings, disk: Path
) -> None:
    run, rooms = away(disk, start), chance(7)
    assert run(ONE[0], "seed=5").wait() == 0
    kept = found(disk)
    seen = 0
    for _ in range(size(1, 16)):
        room = rooms.randrange(0, 300_000)
        ballast = fill(disk, room)
        command = run(*ONE)
        code = command.wait()
        assert code in (0, 1)
        if code:
            assert_one_line(command, FULL)
            assert kept.items() <= found(disk).items()
            seen += 1
        ballast.unlink()
        again = run(*ONE)
        assert again.wait() == 0, again.said()
        assert "Traceback" not in again.said()
        assert found(disk) == {**kept, **whole}, f"{room} bytes"
        assert left_over(disk) == []
        shutil.rmtree(disk / "outputs/runs" / next(iter(whole)))
    assert seen
    print(f"{seen} of {size(1, 16)} met a full disk")


@pytest.mark.skipif(not IS_FULL, reason="sweeps take long")
def test_a_sweep_on_a_disk_that_fills_up_goes_on_once_there_is_room(
    start: Start, whole_sweep: Findings, disk: Path
) -> None:
    run, rooms = away(disk, start), chance(8)
    for _ in range(size(1, 5)):
        command = run(*GRID)
        wait_until(lambda: found(disk))
        ballast = fill(disk, rooms.randrange(0, 100_000))
        before = found(disk)
        assert command.wait() == 1, command.said()
        assert "Traceback" not in command.said()
        assert before.items() <= found(disk).items()
        ballast.unlink()
        again = run(*GRID)
        assert again.wait() == 0, again.said()
        assert found(disk) == whole_sweep
        assert left_over(disk) == []
        assert len(found(disk)) == NUM_CELLS
        shutil.rmtree(disk / "outputs")


def test_a_read_only_folder_is_told_in_a_line(start: Start, whole: Findings, disk: Path) -> None:
    run = away(disk, start)
    (disk / "outputs").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    command = run(*ONE)
    assert command.wait() == 1
    assert_one_line(command, "Read-only file system", str(disk), "runtime.outputs")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    if IS_FULL:
        assert run(*ONE).wait() == 0
        assert found(disk) == whole


def test_a_finished_run_is_shown_from_a_read_only_folder(
    start: Start, whole: Findings, whole_folder: Path, disk: Path
) -> None:
    shutil.copytree(whole_folder / "outputs", disk / "outputs")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    command = away(disk, start)(*ONE)
    assert command.wait() == 0, command.said()
    assert "is finished already" in command.said()
    sweep = away(disk, start)(*ONE, "-m")
    assert sweep.wait() == 0, sweep.said()
    assert "1 run in 1 cell: 1 finished" in sweep.said()


@pytest.mark.slow
@pytest.mark.parametrize(
    "remove", [lambda f: f.rename(f.parents[2] / "moved"), *[shutil.rmtree] * size(0, 1)]
)
def test_a_run_whose_folder_is_deleted_ends_with_a_line_and_may_be_typed_again(
    remove: Callable[[Path], object], start: Start, whole: Findings, tmp_path: Path
) -> None:
    command = start(tmp_path, "train", *SMALL, *ONE)
    wait_until(lambda: has_checkpoint(tmp_path))
    try:
        remove(run_folder(tmp_path))
    except OSError:  # it was just writing another file
        shutil.rmtree(run_folder(tmp_path))
    assert command.wait() == 1
    assert_one_line(command, "No such file or directory", "runtime.outputs")
    assert start(tmp_path, "train", *SMALL, *ONE).wait() == 0
    assert found(tmp_path) == whole
