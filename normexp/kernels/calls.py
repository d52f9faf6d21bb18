"""Calls of the C++ functions: each takes one struct, and every tensor in it is checked first."""

import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from normexp.kernels import compiled

LANES = 16  # the kernels take channels in vectors of so many
WORTH_A_THREAD = 16_384  # elements below which a further thread costs more than it brings
TYPES = (torch.float32, torch.bfloat16)

_size, _int, _float, _pointer = ctypes.c_long, ctypes.c_int, ctypes.c_float, ctypes.c_void_p
Tensors = Mapping[str, Tensor | None]


class Norm(ctypes.Structure):
    """`Call` of norm.cpp."""

    _fields_ = (
        *((name, _size) for name in ("images", "pixels", "channels", "groups", "parts")),
        *((name, _int) for name in ("is_bfloat16", "relu", "threads")),
        ("eps", _float),
        *((name, _pointer) for name in ("x", "y", "shortcut", "dy", "dx", "dshortcut")),
        *((name, _pointer) for name in ("weight", "bias", "gate", "dweight", "dbias", "dgate")),
        *((name, _pointer) for name in ("moments", "saved")),
    )


class Pool(ctypes.Structure):
    """`Call` of max_pool.cpp."""

    _fields_ = (
        *((name, _size) for name in ("images", "channels", "height", "width")),
        *((name, _int) for name in ("is_bfloat16", "threads")),
        *((name, _pointer) for name in ("full", "pooled", "places")),
    )


class Convolution(ctypes.Structure):
    """`Call` of winograd.cpp and of winograd_float32.cpp."""

    _fields_ = (
        *((name, _size) for name in ("images", "height", "width", "num_in", "num_out")),
        *((name, _int) for name in ("is_turned", "threads")),
        *((name, _pointer) for name in ("x", "weight", "filters", "y", "dy", "dweight")),
    )


def call(name: str, struct: ctypes.Structure) -> None:
    """Call a C++ function; raises RuntimeError where there is none."""
    library = compiled.library()
    if library is None:
        raise RuntimeError("the kernels could not be compiled or loaded here")
    getattr(library, name)(ctypes.byref(struct))


def takes(x: Tensor) -> bool:
    """Whether `x` is a batch of images on the CPU in channels last, as every kernel takes them."""
    return (
        x.is_cpu
        and x.dim() == 4
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and compiled.library() is not None
    )


def takes_in_lanes(x: Tensor) -> bool:
    """Whether the kernels of norms and pooling take images `x` (N, C, H, W)."""
    return x.dtype in TYPES and takes(x) and x.shape[1] % LANES == 0


def threads_for(num_elements: int) -> int:
    """Return how many threads are worth their cost."""
    return max(1, min(torch.get_num_threads(), num_elements // WORTH_A_THREAD))


def address(tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> int:
    """Return where the numbers of a tensor lie.

    Raises ValueError if it is not on the CPU, or not of this shape and type, or does not lie in
    a row; images (N, C, H, W) lie in channels last.
    """
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    if (
        not tensor.is_cpu
        or tensor.dtype is not dtype
        or tensor.shape != shape
        or not tensor.is_contiguous(memory_format=layout)
    ):
        raise ValueError(
            f"a kernel takes {dtype} of {tuple(shape)} on the CPU, {layout}, not {tensor.dtype} of "
            f"{tuple(tensor.shape)} on {tensor.device} with strides {tensor.stride()}"
        )
    return tensor.data_ptr()


class How(NamedTuple):
    """What a norm is, but for its numbers."""

    num_groups: int  # of channels, whose statistics are an image's
    num_parts: int  # of the batch, with statistics of their own
    eps: float
    relu: bool = False


def norm(how: How, x: Tensor, maps: Tensors, per_channel: Tensors, made: Tensors) -> Norm:
    """Return the call of a norm.

    `maps`, by the names in `Norm`, are of the shape and type of `x` (N, C, H, W), those
    `per_channel` float32 (C,). Those `made` for the call, as norm.cpp has them, are not checked.
    """
    images, channels, height, width = shape = x.shape
    groups, parts, eps, relu = how
    dtype = x.dtype
    if dtype not in TYPES or channels % LANES or groups < 1 or channels % groups:
        raise ValueError(f"no kernel for {groups} groups of {channels} channels of {dtype}")
    if parts < 1 or images % parts:
        raise ValueError(f"no kernel for {parts} parts of {images} images")
    found = {name: t.data_ptr() for name, t in made.items() if t is not None}
    for name, t in maps.items():
        if t is not None:
            found[name] = address(t, shape, dtype)
    for name, t in per_channel.items():
        if t is not None:
            found[name] = address(t, (channels,), torch.float32)
    return Norm(
        *(images, height * width, channels, groups, parts),
        *(dtype is torch.bfloat16, relu, threads_for(x.numel()), eps, address(x, shape, dtype)),
        **found,
    )


def pool(full: Tensor, pooled: Tensor, places: Tensor) -> Pool:
    """Return the call of 2×2 pooling, of images or of their gradients, and the maxima's places."""
    images, channels, height, width = full.shape
    if full.dtype not in TYPES or channels % LANES:
        raise ValueError(f"no kernel for {channels} channels of {full.dtype}")
    shape = (images, channels, height // 2, width // 2)
    return Pool(
        *(images, channels, height, width, full.dtype is torch.bfloat16),
        threads_for(full.numel()),
        full=address(full, full.shape, full.dtype),
        pooled=address(pooled, shape, full.dtype),
        places=address(places, (pooled.numel(),), torch.uint8),
    )


def convolution(
    x: Tensor, filters_shape: Sequence[int], is_turned: bool = False, **tensors: Tensor
) -> Convolution:
    """Return the call of a 3×3 convolution of `x`, float32 or bfloat16 (N, C_in, H, W).

    Of the `tensors`, by the names in `Convolution`, `weight` and its gradient `dweight` are
    float32 filters (C_out, C_in, 3, 3); or, if turned, (C_in, C_out, 3, 3), of the convolution
    whose gradient this one is. `y` and its gradient `dy` are of the type of `x`,
    (N, C_out, H, W); `filters` is room for the transformed ones in bfloat16.
    """
    images, num_in, height, width = x.shape
    num_out, dtype = filters_shape[is_turned], x.dtype
    if (
        dtype not in TYPES
        or num_in % (2 if dtype is torch.bfloat16 else LANES)
        or num_out % LANES
        or tuple(filters_shape[2:]) != (3, 3)
    ):
        raise ValueError(f"no kernel for {dtype} filters of {tuple(filters_shape)}")
    filters = (*((num_in, num_out) if is_turned else (num_out, num_in)), 3, 3)
    maps = (images, num_out, height, width)
    shapes: Mapping[str, tuple[Sequence[int], torch.dtype]] = {
        "weight": (filters, torch.float32),
        "dweight": (filters, torch.float32),
        "y": (maps, dtype),
        "dy": (maps, dtype),
        "filters": ((16 * num_in * num_out,), torch.bfloat16),
    }
    # Where images are few, it is the filters that take time.
    threads = threads_for(max(x.numel(), math.prod(filters)))
    return Convolution(
        *(images, height, width, num_in, num_out, is_turned, threads),
        address(x, x.shape, dtype),
        **{name: address(tensor, *shapes[name]) for name, tensor in tensors.items()},
    )
