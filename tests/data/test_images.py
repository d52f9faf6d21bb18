from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normexp.contracts import DataSource, LabelledImages
from normexp.data.images import images
from normexp.errors import UserError
from normexp.runs.tree import tree_digest

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


def load(root: Path) -> DataSource:
    """The data set, cached beside `root`."""
    return images(str(root), str(root.parent / "cache"), tree_digest(root))


def caches(root: Path) -> dict[str, int]:
    """The time of writing of each file in the cache."""
    return {p.name: p.stat().st_mtime_ns for p in (root.parent / "cache").iterdir()}


def assert_holds(found: LabelledImages, root: Path, expected: list[tuple[str, int]]) -> None:
    """`expected`: path and label of each image."""
    assert found.labels.tolist() == [label for _, label in expected]
    np.testing.assert_array_equal(
        found.images.numpy(), np.stack([pixels_of(root / path) for path, _ in expected])
    )


def assert_holds_the_tree(found: DataSource, root: Path) -> None:
    assert found.classes == ("Ape", "cat", "dog")
    train = [
        ("train/Ape/x.png", 0),
        ("train/cat/1.JPEG", 1),
        ("train/cat/deeper/2.png", 1),
        ("train/dog/a.jpg", 2),
        ("train/dog/b.png", 2),
    ]
    test = [("test/Ape/y.jpg", 0), ("test/cat/c.png", 1), ("test/dog/a.png", 2)]
    assert_holds(found.train, root, train)
    assert_holds(found.test, root, test)


def test_images_are_what_pil_decodes_in_order_of_class_and_file(root: Path) -> None:
    (root / "train/cat/notes.txt").write_text("no image")
    (root / "train/cat/.hidden.png").write_text("a left-over of some program")
    (root / "train/.thumbnails").mkdir()
    assert_holds_the_tree(load(root), root)


def test_the_second_reading_is_from_the_cache(root: Path) -> None:
    load(root)
    written = caches(root)
    assert len(written) == 1
    # Other bytes of the same size and time: only a reading of the file itself would notice.
    file = root / "train/dog/b.png"
    expected, stat = pixels_of(file), file.stat()
    file.write_bytes(b"x" * stat.st_size)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    again = load(root)

    assert caches(root) == written
    np.testing.assert_array_equal(again.train.images[4].numpy(), expected)
    assert again.classes == ("Ape", "cat", "dog")
    assert again.test.labels.tolist() == [0, 1, 2]


def replace(root: Path) -> None:
    write(root / "train/dog/b.png", seed=100)


def touch(root: Path) -> None:
    os.utime(root / "train/dog/b.png", ns=(1, 1))


def replace_by_one_of_the_same_size(root: Path) -> None:
    file = root / "train/dog/b.png"
    content = bytearray(file.read_bytes())
    write(file, seed=101)
    other = file.read_bytes()
    file.write_bytes(other + bytes(max(0, len(content) - len(other))))
    os.utime(file, ns=(2, 2))


@pytest.mark.parametrize("change", [replace, touch, replace_by_one_of_the_same_size])
def test_a_changed_file_is_decoded_again(root: Path, change: Callable[[Path], None]) -> None:
    load(root)
    before = caches(root)
    change(root)
    assert_holds_the_tree(load(root), root)
    assert len(caches(root)) >= 1
    assert caches(root) != before


def test_added_and_removed_files_are_noticed(root: Path) -> None:
    load(root)
    write(root / "test/dog/b.png", seed=50)
    assert load(root).test.labels.tolist() == [0, 1, 2, 2]
    (root / "test/dog/b.png").unlink()
    assert_holds_the_tree(load(root), root)


def test_the_same_tree_at_another_place_is_the_same_data(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere"
    shutil.copytree(root, copied)
    assert tree_digest(copied) == tree_digest(root)
    load(root)
    assert_holds_the_tree(load(copied), copied)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda b: b + b"x"])
def test_a_damaged_cache_is_made_anew(root: Path, damage: Callable[[bytes], bytes]) -> None:
    load(root)
    (cache,) = (root.parent / "cache").iterdir()
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert_holds_the_tree(load(root), root)
    assert cache.read_bytes() == whole


def uneven(root: Path) -> str:
    write(root / "train/dog/b.png", 0, size=(WIDTH + 1, HEIGHT))
    return rf"train/dog/b\.png has {WIDTH + 1}×{HEIGHT} pixels, but .*x\.png has {WIDTH}×{HEIGHT}"


def turned(root: Path) -> str:
    write(root / "test/dog/a.png", 0, size=(HEIGHT, WIDTH))
    return rf"test/dog/a\.png has {HEIGHT}×{WIDTH} pixels"


def grey(root: Path) -> str:
    Image.new("L", (WIDTH, HEIGHT)).save(root / "train/cat/1.JPEG")
    return r"train/cat/1\.JPEG: .*'L', not RGB.*convert"


def transparent(root: Path) -> str:
    Image.new("RGBA", (WIDTH, HEIGHT)).save(root / "test/cat/c.png")
    return r"test/cat/c\.png: .*'RGBA'"


def no_image(root: Path) -> str:
    (root / "train/dog/a.jpg").write_text("this is a text")
    return r"train/dog/a\.jpg: .*cannot be read"


def truncated_jpeg(root: Path) -> str:
    file = root / "train/dog/a.jpg"
    file.write_bytes(file.read_bytes()[:-100])
    return r"train/dog/a\.jpg: .*cannot be read"


def truncated_png(root: Path) -> str:
    file = root / "test/dog/a.png"
    file.write_bytes(file.read_bytes()[:-60])
    return r"test/dog/a\.png: .*cannot be read"


def empty_file(root: Path) -> str:
    (root / "test/dog/a.png").write_bytes(b"")
    return r"test/dog/a\.png: .*cannot be read"


def no_train(root: Path) -> str:
    (root / "train").rename(root / "training")
    return "no folder .*/train;"


def no_test(root: Path) -> str:
    shutil.rmtree(root / "test")
    return "no folder .*/test;"


def other_classes(root: Path) -> str:
    (root / "test/dog").rename(root / "test/dogs")
    return "different class folders: dog, dogs"


def one_class(root: Path) -> str:
    shutil.rmtree(root / "train/dog")
    shutil.rmtree(root / "train/cat")
    return "train has 1 class folders; at least two"


def empty_class(root: Path) -> str:
    (root / "test/cat/c.png").unlink()
    return "test/cat has no image"


@pytest.mark.parametrize(
    "break_it",
    [
        *(uneven, turned, grey, transparent, no_image, truncated_jpeg, truncated_png, empty_file),
        *(no_train, no_test, other_classes, one_class, empty_class),
    ],
)
def test_what_cannot_be_used_is_named(root: Path, break_it: Callable[[Path], str]) -> None:
    message = break_it(root)
    with pytest.raises(UserError, match=message) as caught:
        load(root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (root.parent / "cache").exists()
