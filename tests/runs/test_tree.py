from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from normexp.errors import UserError
from normexp.runs.tree import image_tree, images_digest, tree_digest, tree_of

FILES = {
    "train/b/2.png": b"22",
    "train/b/1.png": b"1",
    "train/a/x.png": b"xxx",
    "train/a/deep/y.JPG": b"yy",
    "test/a/z.png": b"zz",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_every_image_is_met_once_with_its_size_in_a_fixed_order(root: Path) -> None:
    (root / "train/a/w.png").write_bytes(b"")
    met = [
        (file.path, file.size)
        for classes in image_tree(root).files.values()
        for group in classes.values()
        for file in group
    ]
    assert dict(met) == {name: len(content) for name, content in FILES.items()} | {
        "train/a/w.png": 0
    }
    assert [path for path, _ in met] == [
        *("train/a/w.png", "train/a/x.png", "train/a/deep/y.JPG"),
        *("train/b/1.png", "train/b/2.png", "test/a/z.png"),
    ]


def notes(root: Path) -> None:
    (root / "train/a/notes.txt").write_text("x")
    (root / "notes.txt").write_text("x")


def windows(root: Path) -> None:
    (root / "train/a/Thumbs.db").write_text("x")
    (root / "train/desktop.ini").write_text("x")


def hidden(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"x")
    (root / "train/a/._x.png").write_bytes(b"x")
    (root / "train/.thumbnails").mkdir()
    (root / "train/.thumbnails/x.png").write_bytes(b"x")


def dead_links(root: Path) -> None:
    (root / "old.csv").symlink_to("/nowhere/old.csv")
    (root / "train/a/gone.png").symlink_to("/nowhere/x.png")
    (root / "train/a/self.png").symlink_to("self.png")


def loops(root: Path) -> None:
    (root / "train/a/root").symlink_to("../..")
    (root / "train/a/here").symlink_to(".")
    (root / "train/a/deep/train").symlink_to("../../../train")


def no_files(root: Path) -> None:
    os.mkfifo(root / "train/a/pipe.png")


def images_that_no_run_reads(root: Path) -> None:
    (root / "extra/a").mkdir(parents=True)
    for name in ("extra/a/x.png", "x.png", "train/x.png"):
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize(
    "add",
    [notes, windows, hidden, dead_links, loops, no_files, images_that_no_run_reads],
)
def test_what_no_run_reads_changes_nothing(root: Path, add: Callable[[Path], None]) -> None:
    before = image_tree(root)
    add(root)
    after = image_tree(root)
    assert (after.digest, after.state, after.files) == (before.digest, before.state, before.files)


def test_a_linked_folder_is_met_like_one_in_its_place(root: Path, tmp_path: Path) -> None:
    before = tree_digest(root)
    (root / "train/a").rename(tmp_path / "moved")
    (root / "train/a").symlink_to(tmp_path / "moved")
    assert tree_digest(root) == before


def test_a_copy_at_another_place_and_time_has_the_same_digest(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere" / "copy"
    shutil.copytree(root, copied)
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    assert tree_digest(copied) == tree_digest(root)
    assert tree_of(copied).state != tree_of(root).state


def test_names_of_macos_have_the_digest_of_the_same_names_elsewhere(tmp_path: Path) -> None:
    for place, name in (("linux", "caf\u00e9"), ("macos", "cafe\u0301")):
        (tmp_path / place / "train" / name).mkdir(parents=True)
        (tmp_path / place / "train" / name / f"{name}.png").write_bytes(b"x")
    assert tree_digest(tmp_path / "linux") == tree_digest(tmp_path / "macos")


def rename(root: Path) -> None:
    (root / "train/b/2.png").rename(root / "train/b/3.png")


def move(root: Path) -> None:
    (root / "train/b/2.png").rename(root / "train/a/2.png")


def add_validation(root: Path) -> None:
    (root / "val/a").mkdir(parents=True)
    (root / "val/a/x.png").write_bytes(b"")


def add_webp(root: Path) -> None:
    (root / "train/b/0.webp").write_bytes(b"")


def remove(root: Path) -> None:
    (root / "test/a/z.png").unlink()


def resize(root: Path) -> None:
    (root / "train/b/2.png").write_bytes(b"222")


def swap_sizes(root: Path) -> None:
    (root / "train/b/2.png").write_bytes(b"2")
    (root / "train/b/1.png").write_bytes(b"11")


@pytest.mark.parametrize(
    "change", [rename, move, add_validation, add_webp, remove, resize, swap_sizes]
)
def test_another_path_or_size_has_another_digest(
    root: Path, change: Callable[[Path], None]
) -> None:
    before = tree_digest(root)
    change(root)
    assert tree_digest(root) != before


@pytest.mark.parametrize("suffix", ["bmp", "png", "webp"])
@pytest.mark.parametrize("place", [0, 50_000, 99_999])
def test_images_of_one_size_differ_in_their_bytes(root: Path, place: int, suffix: str) -> None:
    content = bytearray(100_000)
    (root / f"train/a/x.{suffix}").write_bytes(content)
    before = tree_digest(root)
    content[place] = 1
    (root / f"train/a/x.{suffix}").write_bytes(content)
    assert tree_digest(root) != before


def test_the_digest_is_fit_for_a_file_name(root: Path) -> None:
    assert len(tree_digest(root)) == 16
    assert set(tree_digest(root)) <= set("0123456789abcdef")


def test_a_walk_serves_once_and_then_the_files_are_looked_at(root: Path) -> None:
    tree_digest(root)
    (root / "train/a/x.png").write_bytes(b"changed")
    sizes = [
        next(file.size for file in tree_of(root).files["train"]["a"] if file.path.endswith("x.png"))
        for _ in range(2)
    ]
    assert sizes == [3, 7]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "train/a/deep").chmod(0)
    try:
        with pytest.raises(UserError, match="train/a/deep"):
            tree_digest(root)
    finally:
        (root / "train/a/deep").chmod(0o755)


@pytest.mark.parametrize("bad", ["nosuch", "~nosuchuser/x", "x" * 5000, "loop"])
def test_a_root_that_is_no_folder_is_named(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="there is no such folder"):
        images_digest(bad)
