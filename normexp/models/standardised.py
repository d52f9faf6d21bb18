"""A network with the standardisation of its input in front, and its export to a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from normexp.errors import UserError


class Standardised(nn.Module):
    """Images float (N, 3, H, W) in [0, 1] to logits (N, K)."""

    def __init__(self, standardise: Callable[[Tensor], Tensor], network: nn.Module) -> None:
        super().__init__()
        self.standardise = standardise
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.standardise(images))
        return logits


def export(module: nn.Module, file: Path, size: tuple[int, int]) -> None:
    """Write a module for any number of images (N, 3, *size); the suffix says in which format."""
    example = torch.zeros(2, 3, *size)
    free = ({0: torch.export.Dim("batch")},)
    if file.suffix == ".pt2":
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=free), file)
    elif file.suffix != ".onnx":
        raise UserError(f"{file}: a name that ends in .pt2 or .onnx is needed")
    elif missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise UserError(f"{file}: {' and '.join(missing)} is needed: pip install onnx onnxscript")
    else:
        torch.onnx.export(module, (example,), file, dynamic_shapes=free, dynamo=True)
