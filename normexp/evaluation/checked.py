"""Images and labels as they are handed in from Python: refused with the remedy where they are none.

Each function raises ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from normexp.errors import remedies


def checked_images(images: object) -> Tensor:
    """Return images float (N, C, H, W)."""
    tensor = _tensor(images, "images")
    shape = tuple(tensor.shape)
    is_channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] not in (1, 3)
    if tensor.is_floating_point() and len(shape) == 4 and not is_channels_last:
        return tensor
    known = {
        ".permute(0, 3, 1, 2) puts the channels first": is_channels_last,
        "a batch has four dimensions, as a DataLoader makes them": len(shape) != 4,
        "divide them by 255, and standardise them as in training": tensor.dtype == torch.uint8,
    }
    raise ValueError(
        f"images {_kind(tensor)} {shape}: float (N, 3, H, W) is needed" + remedies(known)
    )


def checked_labels(labels: object) -> Tensor:
    """Return labels int64 (N,)."""
    tensor = _tensor(labels, "labels")
    if tensor.ndim == 1 and not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.long()
    known = {
        ".long() makes them whole": tensor.ndim == 1,
        ".flatten() takes off the second dimension": tensor.shape[1:] == (1,),
        ".argmax(1) makes them of one-hot labels": tensor.ndim == 2 and tensor.shape[1] > 1,
    }
    raise ValueError(
        f"labels {_kind(tensor)} {tuple(tensor.shape)}: whole numbers (N,) are needed"
        + remedies(known)
    )


def images_of(batch: object) -> Tensor:
    """Return the images of a batch: images, or a list or tuple that begins with them."""
    if isinstance(batch, Mapping):
        raise ValueError(
            f"a batch of the loader has the keys {', '.join(map(str, batch))}: images, or images "
            "and labels, are needed, such as (batch['image'] for batch in loader)"
        )
    if isinstance(batch, list | tuple) and not batch:
        raise ValueError("a batch of the loader is empty: images, or images and labels, are needed")
    return checked_images(batch[0] if isinstance(batch, list | tuple) else batch)


def require_logits(network: nn.Module, images: Tensor) -> int:
    """Return K of a network's logits (N, K); refuse one that returns something else."""
    with torch.no_grad():
        logits = network(images)
    if isinstance(logits, Tensor) and logits.ndim == 2:
        return logits.shape[1]
    is_tensor = isinstance(logits, Tensor)
    has = f"{_kind(logits)} {tuple(logits.shape)}" if is_tensor else type(logits).__name__
    raise ValueError(
        f"the network returns {has}, and logits (N, K) are needed; wrap it in a module that "
        "returns them"
    )


def require_within(labels: Tensor, outputs: int) -> None:
    """Refuse labels (N,) that are none of a network's `outputs`."""
    least, most = int(labels.min()), int(labels.max())
    if not 0 <= least <= most < outputs:
        remedy = remedies({"subtract 1": (least, most) == (1, outputs)})
        raise ValueError(
            f"labels from {least} to {most}: 0 to {outputs - 1} are needed, as the network has "
            f"{outputs} outputs{remedy}"
        )


def _tensor(given: object, what: str) -> Tensor:
    if isinstance(given, Tensor):
        return given
    kind = type(given).__name__
    raise ValueError(f"{what} of type {kind}: a tensor is needed; torch.as_tensor makes it")


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
