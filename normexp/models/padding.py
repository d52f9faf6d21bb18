"""What stands outside a map where a convolution looks over its border."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

PaddingMode = Literal["zeros", "reflect", "replicate"]
PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)


def set_padding_mode(network: nn.Module, mode: PaddingMode) -> None:
    """Let every convolution of `network`, whoever wrote it, pad by `mode`, in place."""
    if mode not in PADDING_MODES:
        raise ValueError(f"model.padding_mode={mode}: one of {', '.join(PADDING_MODES)} is needed")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            # A convolution reads its mode at each call.
            module.padding_mode = mode
