"""The cache of decoded images: shared by copies of a data set, and never wrong."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from normexp.contracts import DataSource
from normexp.data import images as module
from normexp.data import stacking
from normexp.runs.tree import tree_digest

NAMES = [f"{half}/{name}/{k}.jpg" for half in ("train", "test") for name in "ab" for k in range(3)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree of class folders."""
    for seed, name in enumerate(NAMES):
        write(tmp_path / "one" / name, seed)
    return tmp_path / "one"


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder of each decoding."""
    decoded: list[Path] = []
    stacked = stacking.stacked

    def counted(folder: Path, *arguments: object, **options: object) -> object:
        decoded.append(folder)
        return stacked(folder, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "stacked", counted)
    return decoded


def write(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")  # without loss; of a JPEG the size alone is looked at


def load(root: Path, resize: int | None = None) -> DataSource:
    cache = str(root.parent / "cache")
    return module.images(str(root), cache, tree_digest(root), convert=True, resize=resize)


def pixel_files(root: Path) -> list[Path]:
    return sorted((root.parent / "cache").glob("*.pt"))


def assert_holds(found: DataSource, root: Path) -> None:
    files = [np.asarray(Image.open(root / name)) for name in NAMES]
    np.testing.assert_array_equal(torch.cat([found.train.images, found.test.images]), files)


def copy_of(root: Path, name: str, time: int) -> Path:
    """A copy whose files are of another time."""
    copied = root.parent / name
    shutil.copytree(root, copied)
    for file in copied.rglob("*.jpg"):
        os.utime(file, (time, time))
    return copied


def test_the_second_reading_opens_no_image(root: Path) -> None:
    load(root)
    for name in NAMES:
        file = root / name
        stat = file.stat()
        file.write_bytes(b"x" * stat.st_size)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = load(root)
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == ("a", "b")


def test_two_copies_read_in_turn_are_decoded_once(root: Path, decodings: list[Path]) -> None:
    other = copy_of(root, "other", time=1)
    for _ in range(20):
        assert_holds(load(root), root)
        assert_holds(load(other), other)
    assert decodings == [root]
    assert len(pixel_files(root)) == 1


def test_copies_of_one_job_each_share_one_file(root: Path, decodings: list[Path]) -> None:
    load(root)
    for job in range(5):
        copied = copy_of(root, f"job{job}", time=job)
        assert_holds(load(copied), copied)
        shutil.rmtree(copied)
    assert decodings == [root]
    assert len(pixel_files(root)) == 1


def test_two_machines_with_different_images_at_one_place_keep_both(
    root: Path, decodings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_of(root, "other", time=1)
    write(other / NAMES[0], seed=100)
    for _ in range(3):
        for machine, folder in (("here", root), ("there", other)):
            monkeypatch.setattr("platform.node", lambda machine=machine: machine)
            place = root.parent / "data"
            folder.rename(place)
            assert_holds(load(place), place)
            place.rename(folder)
    assert len(decodings) == 2
    assert len(pixel_files(root)) == 2


def replace(root: Path) -> None:
    write(root / NAMES[1], seed=100)


def add(root: Path) -> None:
    write(root / "train/a/0.jpg", seed=100)


@pytest.mark.parametrize("change", [replace, add])
def test_changed_images_are_decoded_again_and_the_former_file_goes(
    root: Path, change: Callable[[Path], None], decodings: list[Path]
) -> None:
    load(root)
    (former,) = pixel_files(root)
    change(root)
    assert_holds(load(root), root)
    assert len(decodings) == 2
    assert len(pixel_files(root)) == 1
    assert not former.exists()


def test_a_change_in_one_copy_leaves_the_file_of_the_other(
    root: Path, decodings: list[Path]
) -> None:
    other = copy_of(root, "other", time=1)
    load(root)
    load(other)
    replace(root)
    assert_holds(load(root), root)
    assert_holds(load(other), other)
    assert decodings == [root, root]


def test_other_pixels_in_files_of_the_same_paths_and_sizes_are_noticed(root: Path) -> None:
    other = copy_of(root, "other", time=1)
    for folder, end in ((root, b"\0"), (other, b"\1")):
        content = (folder / NAMES[0]).read_bytes()
        (folder / NAMES[0]).write_bytes(content + end * 8)  # a PNG may have bytes behind it
    write(other / NAMES[0], seed=100)
    grown, size = (other / NAMES[0]).read_bytes(), (root / NAMES[0]).stat().st_size
    (other / NAMES[0]).write_bytes(grown + bytes(max(0, size - len(grown))))
    if (other / NAMES[0]).stat().st_size == size:
        assert tree_digest(other) == tree_digest(root)
    assert_holds(load(root), root)
    assert_holds(load(other), other)
    assert_holds(load(root), root)


def test_touched_images_are_read_but_not_decoded(root: Path, decodings: list[Path]) -> None:
    load(root)
    os.utime(root / NAMES[0], (1, 1))
    assert_holds(load(root), root)
    assert decodings == [root]


def test_each_way_of_decoding_has_a_file(root: Path) -> None:
    for _ in range(2):
        assert load(root).train.images.shape == (6, 5, 6, 3)
        assert load(root, resize=4).train.images.shape == (6, 4, 4, 3)
    assert len(pixel_files(root)) == 2


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda b: b + b"x"])
@pytest.mark.parametrize("pattern", ["*.pt", "*.txt"])
def test_a_damaged_file_of_the_cache_is_made_anew(
    root: Path, pattern: str, damage: Callable[[bytes], bytes]
) -> None:
    load(root)
    (file,) = (root.parent / "cache").glob(pattern)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert_holds(load(root), root)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(root: Path) -> None:
    (root.parent / "cache").write_text("a file is in its place")
    found = load(root)
    assert_holds(found, root)
    assert any("could not be kept" in line for line in found.notes)


def test_unfinished_files_of_killed_processes_go_and_those_of_live_ones_stay(root: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    cache = root.parent / "cache"
    cache.mkdir()
    killed = cache / f".pixels-1-2.pt.{platform.node()}.{ended.pid}.tmp"
    alive = cache / f".pixels-3-4.pt.{platform.node()}.{os.getpid()}.tmp"
    old = cache / f".generated-5.pt.{os.getppid()}.tmp"
    other = cache / f".something.{platform.node()}.{ended.pid}.tmp"
    for file in (killed, alive, old, other):
        file.write_bytes(b"x")
    os.utime(old, (1, 1))
    load(root)
    assert [file.exists() for file in (killed, alive, old, other)] == [False, True, False, True]


def test_what_is_said_of_the_images_is_kept(root: Path) -> None:
    shutil.copy(root / NAMES[0], root / NAMES[-1])
    Image.new("L", (6, 5)).save(root / "train/a/grey.jpg")
    once, again = load(root).notes, load(root).notes
    assert len(once) == 2
    assert once == again
    (root / "train/a/new.txt").write_text("x")
    assert len(load(root).notes) == 3
