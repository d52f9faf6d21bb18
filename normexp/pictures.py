"""Pictures of any kind, as people have them in Python, as arrays of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image
from torch import Tensor

from normexp.data.decoding import UnusableImageError, decoded, pixels
from normexp.errors import UserError

Picture = np.ndarray | Tensor | Image | str | Path
Pictures = Picture | Iterable[Picture]

KINDS = (
    "uint8 arrays (N, H, W, 3), uint8 tensors (N, 3, H, W), names of files, PIL images, or lists "
    "of them are needed"
)


def pixels_of(pictures: Pictures, size: int | None) -> np.ndarray:
    """Return uint8 (N, H, W, 3) of pictures of any kind; raises UserError for anything else.

    Of files and PIL images the shorter side is scaled to `size`, and the middle cut out.
    """
    if isinstance(pictures, Tensor):
        pictures = _channels_last(pictures)
    if isinstance(pictures, np.ndarray):
        if pictures.dtype.kind in "UO":
            raise UserError(
                f"an array of {pictures.dtype}: give a list, as array.tolist() makes it"
            )
        arrays = pictures if pictures.ndim == 4 else pictures[None]
    else:
        is_many = isinstance(pictures, Iterable) and not isinstance(pictures, str)
        each = list(pictures) if is_many else [pictures]  # type: ignore[arg-type]
        arrays = _stacked([_pixels(picture, size) for picture in each])  # type: ignore[arg-type]
    if arrays.dtype != np.uint8 or arrays.ndim != 4 or arrays.shape[-1] != 3:
        raise UserError(f"{arrays.dtype} {arrays.shape}: uint8 (N, H, W, 3) is needed")
    return np.array(arrays)


def _stacked(each: Sequence[np.ndarray]) -> np.ndarray:
    if not each:
        raise UserError(f"there is no picture; {KINDS}")
    if len(shapes := {pixels.shape for pixels in each}) > 1:
        found = " and ".join(map(str, sorted(shapes)[:2]))
        raise UserError(f"pictures of the shapes {found}: scale them to one size")
    return np.stack(each)


def _pixels(picture: Picture, size: int | None) -> np.ndarray:
    if isinstance(picture, Tensor):
        return _channels_last(picture)
    if isinstance(picture, np.ndarray):
        return picture
    if not isinstance(picture, str | Path | Image):
        raise UserError(f"{picture!r} is no picture; {KINDS}")
    try:
        if isinstance(picture, str | Path):
            return decoded(Path(picture).expanduser(), size).pixels
        return pixels(picture, size)
    except UnusableImageError as error:
        raise UserError(f"{picture} cannot be read: {error}") from error


def _channels_last(images: Tensor) -> np.ndarray:
    """Return uint8 (..., H, W, 3) of a tensor uint8 (..., 3, H, W); raises UserError."""
    kind, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
    if kind != "uint8" or images.ndim not in (3, 4) or shape[-3] != 3:
        raise UserError(
            f"a tensor {kind} {shape}: uint8 (N, 3, H, W) is needed; trained.module() takes floats"
        )
    channels_last: np.ndarray = images.cpu().movedim(-3, -1).numpy()
    return channels_last
