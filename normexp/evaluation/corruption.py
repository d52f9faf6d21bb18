"""The contrast corruption of CIFAR-10-C.

Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
"""

import numpy as np
import torch
from torch import Tensor

SEVERITIES = {1: 0.75, 2: 0.5, 3: 0.4, 4: 0.3, 5: 0.15}  # share of contrast left, by severity


def reduce_contrast(images: Tensor, share: float) -> Tensor:
    """Return (x − m)·share + m, m the channel's mean, cut to uint8; uint8 (N, H, W, 3) to the same.

    In float64 and truncated, as published, by numpy: another order of summing a mean, or a GPU's
    division, changes last bits, of which truncation makes whole steps.
    """
    x = images.cpu().numpy() / 255.0
    mean = x.mean((1, 2), keepdims=True)
    changed = np.clip((x - mean) * share + mean, 0, 1) * 255
    return torch.from_numpy(changed.astype(np.uint8)).to(images.device)
