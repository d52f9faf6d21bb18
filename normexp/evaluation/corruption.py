"""The contrast corruption of CIFAR-10-C.

Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
"""

import numpy as np
import torch
from torch import Tensor

from normexp.runs.tested import CONTRAST_LEFT

SEVERITIES = {int(severity): share for severity, share in CONTRAST_LEFT.items()}
"""Share of contrast left, by severity."""


def channel_means(images: Tensor) -> Tensor:
    """Return the mean of each channel of each image, in [0, 1]: uint8 (N, H, W, 3) to (N, 1, 1, 3).

    In float64, by numpy, as published: another order of summing changes last bits.
    """
    mean = (images.cpu().numpy() / 255.0).mean((1, 2), keepdims=True)
    return torch.from_numpy(np.ascontiguousarray(mean)).to(images.device)


def reduce_contrast(images: Tensor, share: float, mean: Tensor | None = None) -> Tensor:
    """Return (x − m)·share + m, m the channel's mean, cut to uint8; uint8 (N, H, W, 3) to the same.

    In float64 and truncated, as published: a last bit decides on a whole step of uint8. `mean` is
    what `channel_means` says of the images, where that is known already.
    """
    mean = channel_means(images) if mean is None else mean
    # By a tensor: a GPU would multiply by the reciprocal of a number.
    x = images.double().div_(torch.full((), 255.0, dtype=torch.float64, device=images.device))
    changed = x.sub_(mean).mul_(share).add_(mean).clamp_(0, 1).mul_(255)
    return changed.to(torch.uint8)
