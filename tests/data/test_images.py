from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from normexp.contracts import DataSource, LabelledImages
from normexp.data.images import images
from normexp.data.split import split
from normexp.errors import UserError
from normexp.runs.tree import tree_digest, tree_of

HEIGHT, WIDTH = 5, 6
FILES = [
    "train/dog/b.png",
    "train/dog/a.jpg",
    "train/cat/1.JPEG",
    "train/cat/deeper/2.png",
    "train/Ape/x.png",
    "test/dog/a.png",
    "test/cat/c.png",
    "test/Ape/y.jpg",
]
TRAIN = [
    ("train/Ape/x.png", 0),
    ("train/cat/1.JPEG", 1),
    ("train/cat/deeper/2.png", 1),
    ("train/dog/a.jpg", 2),
    ("train/dog/b.png", 2),
]
"""Path and label, in order."""
TEST = [("test/Ape/y.jpg", 0), ("test/cat/c.png", 1), ("test/dog/a.png", 2)]


def write(file: Path, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """An image of noise, (width, height) = `size`."""
    noise = np.random.default_rng(seed).integers(0, 256, (*reversed(size), 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(file)


def pixels_of(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree of class folders."""
    folder = tmp_path / "pictures"
    for seed, name in enumerate(FILES):
        write(folder / name, seed)
    return folder


def load(root: Path, *, convert: bool = True, resize: int | None = None) -> DataSource:
    """The data set, cached beside `root`."""
    return images(str(root), str(root.parent / "cache"), tree_digest(root), convert, resize)


def assert_holds(found: LabelledImages, root: Path, expected: list[tuple[str, int]]) -> None:
    """`expected`: path and label of each image."""
    assert found.labels.tolist() == [label for _, label in expected]
    np.testing.assert_array_equal(
        found.images.numpy(), np.stack([pixels_of(root / path) for path, _ in expected])
    )


def assert_holds_the_tree(found: DataSource, root: Path) -> None:
    assert found.classes == ("Ape", "cat", "dog")
    assert_holds(found.train, root, TRAIN)
    assert_holds(found.test, root, TEST)


def test_images_are_what_pil_decodes_in_order_of_class_and_file(root: Path) -> None:
    (root / "train/cat/notes.txt").write_text("no image")
    (root / "train/cat/.hidden.png").write_text("a left-over of some program")
    (root / "train/.thumbnails").mkdir()
    assert_holds_the_tree(load(root), root)


def no_train(root: Path) -> str:
    (root / "train").rename(root / "training")
    return "no folder .*/train;"


def no_test(root: Path) -> str:
    shutil.rmtree(root / "test")
    return "no folder .*/test;"


def other_classes(root: Path) -> str:
    (root / "test/dog").rename(root / "test/dogs")
    return "train/ and test/ have different class folders: dog, dogs"


def other_classes_for_validation(root: Path) -> str:
    shutil.copytree(root / "test", root / "val")
    shutil.rmtree(root / "val/dog")
    return "train/ and val/ have different class folders: dog"


def unlabelled_test(root: Path) -> str:
    (root / "test").rename(root / "val")
    write(root / "test/1.png", 0)
    return "train/ and test/ have different .*; without test/, val/ has the test images"


def one_class(root: Path) -> str:
    for half in ("train", "test"):
        for name in ("dog", "cat"):
            shutil.rmtree(root / half / name)
    return "train has 1 class folders; at least two"


def empty_class(root: Path) -> str:
    (root / "test/cat/c.png").unlink()
    return "test/cat has no image"


@pytest.mark.parametrize(
    "break_it",
    [
        *(no_train, no_test, other_classes, other_classes_for_validation, unlabelled_test),
        *(one_class, empty_class),
    ],
)
def test_folders_that_cannot_be_used_are_named(root: Path, break_it: Callable[[Path], str]) -> None:
    message = break_it(root)
    with pytest.raises(UserError, match=message) as caught:
        load(root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (root.parent / "cache").exists()


def empty(content: bytes) -> bytes:
    return b""


def no_image(content: bytes) -> bytes:
    return b"this is a text"


def truncated(content: bytes) -> bytes:
    return content[:-60]


@pytest.mark.parametrize("damage", [empty, no_image, truncated])
def test_damaged_images_are_counted_and_five_are_named(
    root: Path, damage: Callable[[bytes], bytes]
) -> None:
    for seed in range(7):
        file = root / f"train/dog/damaged_{seed}.png"
        write(file, seed)
        file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"7 of 15 images cannot be read") as caught:
        load(root)
    named = [seed for seed in range(7) if f"train/dog/damaged_{seed}.png" in str(caught.value)]
    assert named == [0, 1, 2, 3, 4]
    assert "\n" not in str(caught.value)
    assert not (root.parent / "cache").exists()


def odd(root: Path) -> None:
    """Six images that are not RGB."""
    for k, mode in enumerate(("L", "P", "RGBA", "CMYK", "1", "LA")):
        name = f"odd_{k}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (WIDTH, HEIGHT)).save(root / "train/cat" / name)


def test_images_of_other_modes_are_converted_and_counted(root: Path) -> None:
    odd(root)
    found = load(root)
    assert len(found.train) == 5 + 6
    (line,) = [line for line in found.notes if "RGB" in line]
    assert "6 of 14 images" in line
    for mode in ("L", "P", "RGBA", "CMYK", "1", "LA"):
        assert f"1 of mode {mode}" in line


def test_without_convert_they_are_refused_and_five_are_named(root: Path) -> None:
    odd(root)
    with pytest.raises(UserError, match=r"6 of 14 .* not RGB.*data\.convert=true") as caught:
        load(root, convert=False)
    assert sum(f"odd_{k}" in str(caught.value) for k in range(6)) == 5
    for k in range(6):
        next((root / "train/cat").glob(f"odd_{k}.*")).unlink()
    assert_holds_the_tree(load(root, convert=False), root)


def test_uneven_sizes_are_counted_and_resize_makes_them_even(root: Path) -> None:
    for seed in range(3):
        write(root / f"train/dog/wide_{seed}.png", seed, size=(9, 7))
    write(root / "test/dog/high.png", 0, size=(4, 8))
    with pytest.raises(UserError) as caught:
        load(root)
    for words in ("8 of 6×5", "3 of 9×7", "1 of 4×8", "test/dog/high.png", "data.resize=5"):
        assert words in str(caught.value)
    found = load(root, resize=5)
    assert found.train.images.shape == (8, 5, 5, 3)
    assert found.test.images.shape == (4, 5, 5, 3)


def test_all_that_is_wrong_with_images_is_said_at_once(root: Path) -> None:
    odd(root)
    write(root / "train/dog/wide.png", 0, size=(9, 7))
    (root / "train/dog/damaged.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        load(root, convert=False)
    for words in ("damaged.png", "odd_0.png", "wide.png"):
        assert words in str(caught.value)


def test_images_that_their_camera_turned_are_counted(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(root / "train/cat/phone.jpg", exif=exif)
    found = load(root)
    assert len(found.train) == 6
    assert any("EXIF" in line and line.endswith(": 1") for line in found.notes)


def test_a_set_for_validation_is_taken_as_it_is(root: Path) -> None:
    for k, name in enumerate(("Ape", "cat", "dog")):
        write(root / f"val/{name}/v.png", 50 + k)
    found = load(root)
    assert_holds(found.train, root, TRAIN)
    assert_holds(found.test, root, TEST)
    assert found.val is not None
    assert_holds(found.val, root, [(f"val/{c}/v.png", k) for k, c in enumerate(found.classes)])
    assert any("3 images of val/" in line for line in found.notes)
    divided = split(found, limit=None, val_fraction=0.4)
    assert (len(divided.train), len(divided.val), len(divided.test)) == (5, 3, 3)
    again = load(root).val
    assert again is not None
    assert torch.equal(again.images, found.val.images)


def test_without_test_images_those_of_validation_are_taken(root: Path) -> None:
    (root / "test").rename(root / "val")
    found = load(root)
    assert found.val is None
    assert_holds(found.test, root, [(path.replace("test", "val"), k) for path, k in TEST])
    assert any("no test/" in line and "val/" in line for line in found.notes)


def test_the_same_pixels_in_two_sets_are_counted(root: Path) -> None:
    for k, name in enumerate(("Ape", "cat", "dog")):
        write(root / f"val/{name}/v.png", 50 + k)
    shutil.copy(root / "train/dog/b.png", root / "test/cat/copy.png")
    Image.open(root / "train/Ape/x.png").save(root / "test/Ape/copy.bmp")  # other bytes
    shutil.copy(root / "val/cat/v.png", root / "test/cat/v.png")
    lines = [line for line in load(root).notes if line.startswith("warning")]
    assert len(lines) == 2
    assert "2 of 6 images for the test" in lines[0]
    assert "training" in lines[0]
    assert "1 of 3 images for validation" in lines[1]
    assert lines == [line for line in load(root).notes if line.startswith("warning")]


def test_distinct_images_give_no_line(root: Path) -> None:
    for name in FILES:
        if not name.endswith("png"):
            (root / name).rename((root / name).with_suffix(".png"))
    assert load(root).notes == ()


def test_what_is_left_out_is_counted(root: Path) -> None:
    for name in ("notes.txt", "more.TXT", "Thumbs.db", "README"):
        (root / "train/cat" / name).write_text("x")
    (root / "train/cat/gone.png").symlink_to("/nowhere/x.png")
    (root / "train/dog/self.png").symlink_to("self.png")
    (root / "train/dog/up").symlink_to("..")
    os.mkfifo(root / "train/dog/pipe.png")
    write(root / "test/outside.png", 0)
    found = load(root)
    assert_holds_the_tree(found, root)
    said = "\n".join(found.notes)
    for words in ("2 .txt", "1 .db", "1 without a suffix", "3 (train/cat/gone.png"):
        assert words in said
    for words in ("1 (train/dog/up)", "1 (test/outside.png)"):
        assert words in said


def test_several_kinds_of_file_are_counted(root: Path) -> None:
    Image.open(root / "train/dog/b.png").save(root / "train/dog/b.webp")
    assert "images by suffix: 5 .png, 2 .jpg, 1 .jpeg, 1 .webp" in load(root).notes


def test_names_in_any_encoding(root: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    for k, (half, name) in enumerate((h, n) for h in ("train", "test") for n in (composed, apart)):
        if (half, name) != ("test", composed):
            write(root / half / name / f"{k}.png", 60 + k)
    latin = b"na\xefve \x1b[31m"
    for half in ("train", "test"):
        folder = root / half / os.fsdecode(latin)
        folder.mkdir()
        shutil.copy(root / "train/dog/b.png", folder / os.fsdecode(b"\xff\n.png"))
    found = load(root)
    assert found.classes == ("Ape", composed, "cat", "dog", r"na\xefve \x1b[31m")
    assert found.train.labels.tolist().count(1) == 2
    (line,) = [line for line in found.notes if "warning" in line]
    assert line.isprintable()
    load(root)


def test_the_same_tree_of_macos_is_the_same_data(root: Path, tmp_path: Path) -> None:
    for half in ("train", "test"):
        write(root / half / "caf\u00e9" / "\u00fc.png", 70)
    mac = tmp_path / "mac"
    shutil.copytree(root, mac)
    for half in ("train", "test"):
        (mac / half / "caf\u00e9" / "\u00fc.png").rename(mac / half / "caf\u00e9" / "u\u0308.png")
        (mac / half / "caf\u00e9").rename(mac / half / "cafe\u0301")
    assert tree_digest(mac) == tree_digest(root)
    one, other = load(root), load(mac)
    assert one.classes == other.classes
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.train.labels, other.train.labels)


def test_images_that_changed_after_the_run_got_its_name_are_refused(root: Path) -> None:
    named = tree_digest(root)
    tree_of(root)  # as the walk that named the run is used up
    write(root / "train/dog/new.png", 99)
    with pytest.raises(UserError, match="have changed"):
        images(str(root), str(root.parent / "cache"), named, convert=True, resize=None)


def test_images_too_large_for_memory_say_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(UserError, match=r"8 images of 6×5 pixels .*data\.resize"):
        load(root)
