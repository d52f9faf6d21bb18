from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from normexp.runs.tree import tree_digest, tree_state, walk

FILES = {"b/2.png": b"22", "b/1.png": b"1", "a/x.png": b"xxx", "c.txt": b"", "a/deep/y.png": b"yy"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_every_file_is_met_once_with_its_size_in_a_fixed_order(root: Path) -> None:
    met = [(path, stat.st_size) for path, stat in walk(root)]
    assert dict(met) == {name: len(content) for name, content in FILES.items()}
    assert [path for path, _ in met] == ["c.txt", "a/x.png", "a/deep/y.png", "b/1.png", "b/2.png"]


def test_hidden_files_and_folders_are_not_met(root: Path) -> None:
    before = tree_digest(root)
    (root / ".DS_Store").write_bytes(b"x")
    (root / "a" / "._x.png").write_bytes(b"x")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "x.png").write_bytes(b"x")
    assert tree_digest(root) == before
    assert len(list(walk(root))) == len(FILES)


def test_a_linked_folder_is_met_like_one_in_its_place(root: Path, tmp_path: Path) -> None:
    before = tree_digest(root)
    (root / "a").rename(tmp_path / "moved")
    (root / "a").symlink_to(tmp_path / "moved")
    assert tree_digest(root) == before


def test_a_copy_at_another_place_and_time_has_the_same_digest(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere" / "copy"
    shutil.copytree(root, copied)
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    assert tree_digest(copied) == tree_digest(root)


def rename(root: Path) -> None:
    (root / "b/2.png").rename(root / "b/3.png")


def move(root: Path) -> None:
    (root / "b/2.png").rename(root / "a/2.png")


def add(root: Path) -> None:
    (root / "b/0.png").write_bytes(b"")


def remove(root: Path) -> None:
    (root / "c.txt").unlink()


def resize(root: Path) -> None:
    (root / "b/2.png").write_bytes(b"222")


def swap_sizes(root: Path) -> None:
    (root / "b/2.png").write_bytes(b"2")
    (root / "b/1.png").write_bytes(b"11")


@pytest.mark.parametrize("change", [rename, move, add, remove, resize, swap_sizes])
def test_another_path_or_size_has_another_digest(
    root: Path, change: Callable[[Path], None]
) -> None:
    before = tree_digest(root)
    change(root)
    assert tree_digest(root) != before


def test_the_digest_is_fit_for_a_file_name(root: Path) -> None:
    assert len(tree_digest(root)) == 16
    assert set(tree_digest(root)) <= set("0123456789abcdef")


def test_the_state_is_that_of_the_last_digest_once_and_then_of_the_files(root: Path) -> None:
    before = tree_state(root)
    assert tree_state(root) == before
    tree_digest(root)
    os.utime(root / "c.txt", (1, 1))
    assert tree_state(root) == before
    assert tree_state(root) != before
