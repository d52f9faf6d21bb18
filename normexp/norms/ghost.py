"""Batch norm over parts of the batch, which sets the batch of the statistics apart from the step's.

Hoffer et al., "Train longer, generalize better: closing the generalization gap in large batch
training of neural networks", NeurIPS 2017.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normexp.norms.running import update_running


class GhostBatchNorm(nn.BatchNorm2d):
    """In training, parts of `ghost_size` images have statistics of their own.

    Images that do not fill a part are a smaller one, the last; a single such image joins
    `ghost_size` others there. A batch smaller than `ghost_size` is one part. In the first k equal
    parts, image i is in part i mod k, which needs no copy. Once a batch the running statistics
    move to the parts' means and unbiased variances, averaged by the number of images. Evaluation
    is batch norm's. `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(
        self, num_features: int, *, ghost_size: int = 16, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        if ghost_size < 1:
            raise ValueError(f"ghost_size={ghost_size}: a part needs 1 image or more")
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.ghost_size = ghost_size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        num_equal, rest = divmod(len(x), self.ghost_size)
        if rest == 1 and num_equal > 0:
            num_equal, rest = num_equal - 1, self.ghost_size + 1
        equal, last = torch.split(x, [len(x) - rest, rest])
        results = []
        if len(equal):
            results.append(self._normalise(equal, num_equal))
        if len(last):
            results.append(self._normalise(last, 1))
        outputs, means, variances = zip(*results, strict=True)
        update_running(self, sum(means) / len(x), sum(variances) / len(x))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _normalise(self, x: Tensor, num_parts: int) -> tuple[Tensor, Tensor, Tensor]:
        """`x` in equal parts; its output, and the mean and the variance (C,) times the images."""
        mean = self.weight.new_zeros(num_parts * self.num_features)
        variance = torch.zeros_like(mean)
        y = F.batch_norm(
            x.reshape(-1, len(mean), *x.shape[2:]),  # the parts side by side, as channels
            mean,
            variance,
            self.weight.repeat(num_parts),
            self.bias.repeat(num_parts),
            training=True,
            momentum=1.0,  # mean and variance become the batch's
            eps=self.eps,
        )
        mean, variance = (v.view(num_parts, -1).mean(0) * len(x) for v in (mean, variance))
        return y.reshape(x.shape), mean, variance
