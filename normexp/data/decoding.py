"""A file of an image to pixels in RGB.

Images of other modes are converted as a viewer shows them: grey in all three channels; palettes and
CMYK by Pillow's `convert("RGB")`; transparent pixels laid over white; of 16 bits the upper eight.
A camera's orientation (EXIF) is applied. Of several frames or pages, the first is read.
"""

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Transpose

ORIENTATION = 0x0112  # the tag of EXIF
DAMAGED_EXIF = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
"""What Pillow's parser raises of bytes that are no EXIF."""
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What brings an image upright, by its orientation; 1 is upright."""
RULES = 1  # raised where the same file becomes other pixels
WANTED = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
Image.init()
FORMATS = [name for name in WANTED if name in Image.OPEN]
"""Decoders of this Pillow; not those that run another program, whatever a file's suffix says."""


@dataclass(frozen=True)
class Decoded:
    """An image."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    mode: str  # of the file, as Pillow names it; `RGB` needs no conversion
    turned: bool  # by its orientation
    content: bytes  # the digest of the file's bytes


class UnusableImageError(Exception):
    """An image that cannot be read or converted."""


def decoded(file: Path, resize: int | None) -> Decoded:
    """Return the image in a file; raises UnusableImageError with the reason.

    With `resize`, its shorter side is scaled to that many pixels and its middle is cut out.
    """
    try:
        content = file.read_bytes()
        image: Image.Image = Image.open(BytesIO(content), formats=FORMATS)
        # Pillow itself turns a TIFF as it loads it; a PNG would be loaded by the question.
        was_turned = image.format == "TIFF" and _orientation(image) != 1
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # whatever damaged bytes make a decoder raise
        raise UnusableImageError(_reason(error)) from error
    turned = was_turned or UPRIGHT.get(_orientation(image)) is not None
    return Decoded(pixels(image, resize), image.mode, turned, digest_of(content))


def pixels(image: Image.Image, resize: int | None) -> np.ndarray:
    """Return an image as uint8 (H, W, 3), as `decoded` does; raises UnusableImageError."""
    upright = UPRIGHT.get(_orientation(image))
    image = to_rgb(image)
    if upright is not None:
        image = image.transpose(upright)
    if resize is not None:
        image = ImageOps.fit(image, (resize, resize), Image.Resampling.BILINEAR)
    return np.asarray(image)


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB, itself where it is; raises UnusableImageError."""
    if image.mode == "RGB":
        return image
    try:
        return _converted(image)
    except ValueError as error:
        raise UnusableImageError(f"its mode {image.mode} has no conversion to RGB") from error


def _converted(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() >= 2**16:
            raise UnusableImageError("it has whole numbers of more than 16 bits")
        if 0 < values.max() < 2**8:
            raise UnusableImageError(
                f"its 16-bit numbers end at {values.max()}, and the upper eight bits would be "
                "black; save it with 8 bits"
            )
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnusableImageError("its pixels are fractions, and nothing says which are white")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except DAMAGED_EXIF:  # beside whole pixels it counts as none
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "what it holds is no image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or "unknown"
