"""Images of every mode in a file of every suffix: read by the stated rule, counted, or named."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normexp.contracts import DataSource
from normexp.data.images import images
from normexp.errors import UserError
from normexp.runs.tree import SUFFIXES, image_tree

from .size import size

GREY = 90
COLOURS: dict[str, object] = {
    "1": 1,
    "L": GREY,
    "LA": (GREY, 255),
    "La": (GREY, 255),
    "P": GREY,
    "PA": (GREY, 255),
    "RGB": (GREY,) * 3,
    "RGBA": (GREY, GREY, GREY, 255),
    "RGBX": (GREY, GREY, GREY, 0),
    "RGBa": (GREY, GREY, GREY, 255),
    "CMYK": (0, 0, 0, 255 - GREY),
    "YCbCr": (GREY, 128, 128),
    "LAB": (97, 128, 128),  # L* of the grey in sRGB is 38.2 %
    "HSV": (0, 0, GREY),
    "I": GREY * 257,
    "I;16": GREY * 257,
    "I;16B": GREY * 257,
    "F": float(GREY),
}
"""The same grey in each mode of Pillow's."""
WITHOUT_RULE = ("F",)
"""Modes of which nothing says which value is white."""


def written(folder: Path) -> Iterator[Path]:
    """Write the grey in every mode and suffix that Pillow writes; yield the files."""
    warnings.simplefilter("ignore")  # of formats that Pillow will give up
    Image.init()
    formats = Image.registered_extensions()
    for suffix in sorted(suffix for suffix in formats if formats[suffix] in Image.SAVE):
        for mode, colour in list(COLOURS.items())[:: size(3, 1)]:
            file = folder / f"{mode.replace(';', '-')}{suffix}"
            image = Image.new(mode, (16, 16), colour)  # type: ignore[arg-type]
            if mode in ("P", "PA"):
                image.putpalette([value for value in range(256) for _ in "RGB"])
            if file.name == "YCbCr.j2k":  # which does not say of what its numbers are
                continue
            try:
                image.save(file)
            except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError):
                file.unlink(missing_ok=True)  # Pillow does not write this mode in such a file
            else:
                yield file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of one class, in a data set that has a class more."""
    root = tmp_path_factory.mktemp("pictures")
    for half in ("train", "test"):
        (root / half / "other").mkdir(parents=True)
        Image.new("RGB", (16, 16), (1, 2, 3)).save(root / half / "other/1.png")
        (root / half / "grey").mkdir()
    Image.new("RGB", (16, 16), (4, 5, 6)).save(root / "test/grey/1.png")
    with warnings.catch_warnings():
        return list(written(root / "train/grey"))


def read(files: list[Path], convert: bool = True) -> DataSource:
    root = files[0].parents[2]
    return images(str(root), str(root / "cache"), image_tree(root).digest, convert, None)


def mode_in(file: Path) -> str:
    with Image.open(file) as image:
        image.load()
        return image.mode


def test_every_mode_and_suffix_is_read_counted_or_named(files: list[Path]) -> None:
    of_images = [file for file in files if file.suffix[1:] in SUFFIXES]
    modes = {file: mode_in(file) for file in of_images}
    odd = [file for file, mode in modes.items() if mode in WITHOUT_RULE]
    if odd:
        with pytest.raises(UserError, match=f"{len(odd)} of {len(of_images) + 3} images cannot"):
            read(files)
    for file in odd:
        file.unlink()
        of_images.remove(file)
    source = read(files)
    others = Counter(file.suffix for file in files if file.suffix[1:] not in SUFFIXES)
    said = "\n".join(source.notes)
    assert all(f"{number} {suffix}" in said for suffix, number in others.items())
    converted = Counter(modes[file] for file in of_images if modes[file] != "RGB")
    assert f"{converted.total()} of {len(of_images) + 3} images made RGB" in said
    assert all(f"{number} of mode {mode}" in said for mode, number in converted.items())
    root = files[0].parents[2]
    tree = image_tree(root).files["train"]["grey"]
    of_class = source.train.images[source.train.labels == 0].numpy().astype(int)
    for image, pixels in zip(tree, of_class, strict=True):
        file = root / image.path
        # Of 16 bits a file of eight keeps what Pillow writes: the greatest value that it has.
        was_cut = file.stem.startswith("I") and not modes[file].startswith("I")
        expected = 255 if file.stem == "1" or was_cut else GREY
        assert np.abs(pixels - expected).max() <= 4, image.path
    with pytest.raises(UserError, match=f"{converted.total()} of .* images are not RGB") as raised:
        read(files, convert=False)
    assert str(raised.value).count("train/grey/") == 5
    print(f"{len(files)} pairs of mode and suffix, {sum(others.values())} left out by suffix")
