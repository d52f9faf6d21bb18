"""A network with the standardisation of its input in front, and its export to a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from normexp.errors import UserError
from normexp.runs.files import write_atomic


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
    """Write a module for any number of images (N, 3, *size); the suffix says in which format.

    One file, weights included. Raises UserError on another suffix, without the packages of ONNX,
    and where there is no such folder.
    """
    if not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; make it, or name another")
    example = torch.zeros(2, 3, *size)
    free = ({0: torch.export.Dim("batch")},)
    if file.suffix == ".pt2":
        content = io.BytesIO()
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=free), content)
        write_atomic(file, content.getvalue())
    elif file.suffix != ".onnx":
        raise UserError(f"{file}: a name that ends in .pt2 or .onnx is needed")
    elif missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise UserError(f"{file}: the file takes packages more: pip install {' '.join(missing)}")
    else:
        program = torch.onnx.export(module, (example,), dynamic_shapes=free, dynamo=True)
        assert program is not None
        write_atomic(file, program.model_proto.SerializeToString())
