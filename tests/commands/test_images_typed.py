"""`normexp train data=images`, as it is typed, on folders as people have them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.typed import Answer, normexp
from PIL import Image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Class folders of noise, 32×32."""
    folder = tmp_path / "my données (1), a=b"
    generator = np.random.default_rng(0)
    for half in ("train", "test"):
        for name in "ab":
            (folder / half / name).mkdir(parents=True)
            for i in range(8):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / half / name / f"{i}.png")
    return folder


def train(root: Path, *more: str) -> Answer:
    return normexp(
        root.parent,
        "train",
        "data=images",
        f"data.root={root}",
        *("batch_size=4", "steps=2", "runtime.threads=1", "model.network.widths=[8,8,8,8,8,8]"),
        *("data.val_fraction=0.25", "precision=fp32"),
        *more,
    )


def test_a_folder_of_any_name_trains_and_its_notes_are_printed(root: Path) -> None:
    shutil.copy(root / "train/a/0.png", root / "test/a/copy.png")
    Image.new("L", (32, 32)).save(root / "train/a/grey.bmp")
    answer = train(root)
    assert answer.code == 0, answer.err
    for words in ("1 .bmp", "1 of mode L", "warning: 1 of 17 images"):
        assert words in answer.err


def test_what_lies_beside_the_images_leaves_a_finished_run_finished(root: Path) -> None:
    train(root)
    (root / "train/a/notes.txt").write_text("x")
    (root / "Thumbs.db").write_text("x")
    (root / "train/b/gone.png").symlink_to("/nowhere.png")
    answer = train(root)
    assert answer.code == 0
    assert "finished already" in answer.out
    copied = shutil.copytree(root, root.parent / "copy", symlinks=True)
    assert "finished already" in train(copied).out


def test_what_cannot_be_used_is_one_line(root: Path) -> None:
    for i in range(6):
        (root / f"train/a/damaged{i}.jpg").write_bytes(b"no image")
    answer = train(root)
    assert answer.code == 1
    assert "6 of 38 images cannot be read" in answer.err
    assert answer.err.startswith("normexp: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("setting", ["data.convert=1", "data.resize=0", "data.resize=a"])
def test_a_value_of_another_kind_is_refused(setting: str, root: Path) -> None:
    answer = train(root, setting)
    assert answer.code == 1
    assert setting in answer.err


def test_resize_makes_uneven_images_even(root: Path) -> None:
    Image.new("RGB", (48, 40)).save(root / "train/a/large.png")
    assert "data.resize=32" in train(root).err
    assert train(root, "data.resize=16").code == 0
