"""The type in which statistics are taken."""

import torch
from torch import Tensor


def widened(x: Tensor) -> Tensor:
    """`x` in float32, or as it is where that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
