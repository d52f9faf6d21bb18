from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image, ImageOps

from normexp.data.decoding import UnusableImageError, decoded
from normexp.runs.tree import SUFFIXES

HEIGHT, WIDTH = 24, 20


def noise(*shape: int, below: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, below, shape, dtype=np.uint16)


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(noise(HEIGHT, WIDTH, 3, seed=seed).astype(np.uint8))


def pixels(image: Image.Image, folder: Path, suffix: str = "png") -> np.ndarray:
    image.save(folder / f"x.{suffix}")
    return decoded(folder / f"x.{suffix}", resize=None).pixels


def can_be_written(suffix: str) -> bool:
    Image.init()
    return Image.registered_extensions().get(f".{suffix}") in Image.SAVE


@pytest.mark.parametrize("suffix", sorted(filter(can_be_written, SUFFIXES)))
def test_every_suffix_is_read_as_pillow_reads_it(suffix: str, tmp_path: Path) -> None:
    sides = {"ico": (16, 16)}.get(suffix, (WIDTH, HEIGHT))
    image = picture().resize(sides)
    if suffix in ("pbm", "pgm"):
        image = image.convert({"pbm": "1", "pgm": "L"}[suffix])
    found = pixels(image, tmp_path, suffix)
    with Image.open(tmp_path / f"x.{suffix}") as opened:
        np.testing.assert_array_equal(found, np.asarray(opened.convert("RGB")))


def test_an_rgb_image_keeps_its_bytes(tmp_path: Path) -> None:
    found = pixels(picture(), tmp_path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.asarray(picture()))


def test_grey_is_grey_in_all_channels(tmp_path: Path) -> None:
    grey = noise(HEIGHT, WIDTH).astype(np.uint8)
    found = pixels(Image.fromarray(grey), tmp_path)
    np.testing.assert_array_equal(found, np.stack([grey] * 3, 2))


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    bits = noise(HEIGHT, WIDTH, below=2).astype(bool)
    found = pixels(Image.fromarray(bits), tmp_path)
    np.testing.assert_array_equal(found, np.stack([bits * 255] * 3, 2))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    index, palette = noise(HEIGHT, WIDTH).astype(np.uint8), noise(256, 3, seed=1).astype(np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putdata(index.flatten().tolist())
    image.putpalette(palette.flatten().tolist())
    np.testing.assert_array_equal(pixels(image, tmp_path), palette[index])


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_of_16_bits_the_upper_eight_are_kept(suffix: str, tmp_path: Path) -> None:
    values = noise(HEIGHT, WIDTH, below=2**16)
    found = pixels(Image.fromarray(values), tmp_path, suffix)
    np.testing.assert_array_equal(found, np.stack([values // 256] * 3, 2))


def test_of_16_bits_that_use_eight_nothing_would_be_left(tmp_path: Path) -> None:
    values = noise(HEIGHT, WIDTH, below=2**8).astype(np.uint16)
    with pytest.raises(UnusableImageError, match=r"16-bit numbers end at 25\d.*save it with 8"):
        pixels(Image.fromarray(values), tmp_path, "png")


def test_cmyk_is_what_the_inks_leave(tmp_path: Path) -> None:
    inks = noise(HEIGHT, WIDTH, 4).astype(np.uint8)
    found = pixels(Image.fromarray(inks, "CMYK"), tmp_path, "tiff")
    left = 255 - inks.astype(float)
    np.testing.assert_allclose(found, left[..., :3] * left[..., 3:] / 255, atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_lie_over_white(mode: str, tmp_path: Path) -> None:
    rgba = Image.fromarray(noise(HEIGHT, WIDTH, 4).astype(np.uint8), "RGBA").convert(mode)
    values = np.asarray(rgba).astype(float)
    alpha = values[..., -1:] / 255
    expected = alpha * values[..., :-1] + (1 - alpha) * 255
    found = pixels(rgba, tmp_path)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1)


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.save(tmp_path / "x.png", transparency=1)
    assert (decoded(tmp_path / "x.png", None).pixels == 255).all()


def test_of_several_frames_the_first_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (WIDTH, HEIGHT), grey) for grey in (40, 200)]
    for suffix in ("gif", "webp", "tiff", "apng"):
        frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
        found = decoded(tmp_path / f"x.{suffix}", None).pixels
        np.testing.assert_allclose(found, 40, atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_a_cameras_orientation_is_applied(suffix: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"x.{suffix}"
    picture().save(file, exif=exif)
    found = decoded(file, None)
    with Image.open(file) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.turned == (orientation != 1)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    for exif in (
        b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff",
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\xff\xff",
    ):
        picture().save(tmp_path / "x.jpg", exif=exif)
        found = decoded(tmp_path / "x.jpg", None)
        assert found.pixels.shape == (HEIGHT, WIDTH, 3)


def test_resizing_scales_the_shorter_side_and_cuts_out_the_middle(tmp_path: Path) -> None:
    # Three squares side by side; the middle one is what is left.
    wide = Image.new("RGB", (96, 32))
    for k, colour in enumerate(("red", "lime", "blue")):
        wide.paste(colour, (32 * k, 0, 32 * k + 32, 32))
    for turn, name in ((wide, "wide"), (wide.transpose(Image.Transpose.ROTATE_90), "high")):
        turn.save(tmp_path / f"{name}.png")
        found = decoded(tmp_path / f"{name}.png", resize=16).pixels
        assert found.shape == (16, 16, 3)
        np.testing.assert_array_equal(found[2:-2, 2:-2], np.full((12, 12, 3), (0, 255, 0)))


def test_resizing_to_its_own_size_changes_nothing(tmp_path: Path) -> None:
    picture().crop((0, 0, 20, 20)).save(tmp_path / "x.png")
    same, once = (decoded(tmp_path / "x.png", resize).pixels for resize in (20, None))
    np.testing.assert_array_equal(same, once)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "jp2", "avif"]
)
def test_damaged_bytes_are_one_kind_of_error_or_pixels(suffix: str, tmp_path: Path) -> None:
    if not can_be_written(suffix):
        pytest.skip(f"this Pillow writes no {suffix}")
    whole, file = tmp_path / f"whole.{suffix}", tmp_path / f"x.{suffix}"
    picture().save(whole)
    generator = np.random.default_rng(crc32(suffix.encode()))
    refused = 0
    for trial in range(60):
        damaged = bytearray(whole.read_bytes())
        if trial % 2:
            for place in generator.integers(0, len(damaged), 4):
                damaged[place] = generator.integers(256)
        else:
            del damaged[generator.integers(len(damaged)) :]
        file.write_bytes(damaged)
        try:
            assert decoded(file, None).pixels.dtype == np.uint8
        except UnusableImageError:
            refused += 1
    assert refused > 10


def test_fractions_and_wide_numbers_have_no_rule(tmp_path: Path) -> None:
    for values in (np.full((4, 4), 0.5, np.float32), np.full((4, 4), 70_000, np.int32)):
        Image.fromarray(values).save(tmp_path / "x.tiff")
        with pytest.raises(UnusableImageError):
            decoded(tmp_path / "x.tiff", None)


def test_what_is_inside_decides_and_no_other_program_is_run(tmp_path: Path) -> None:
    content = BytesIO()
    picture().save(content, "WEBP", lossless=True)
    (tmp_path / "x.jpg").write_bytes(content.getvalue())
    np.testing.assert_array_equal(decoded(tmp_path / "x.jpg", None).pixels, np.asarray(picture()))
    picture().save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.jpg")
    with pytest.raises(UnusableImageError):
        decoded(tmp_path / "x.jpg", None)
