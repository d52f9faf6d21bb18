"""Batch norm and then instance norm: a control, because together they are instance norm.

The second takes out the mean and the variance of each image and channel, and with them all that
the first put in, up to eps (shown in tests/norms/test_facts.py).
"""

from torch import Tensor, nn

from normexp.norms.instance import InstanceNorm
from normexp.norms.wide import widened


class SerialNorm(nn.Module):
    """y = IN(BN(x)), with one scale and one shift for each channel.

    `x` (N, C, H, W) comes back in the same shape and type. Raises ValueError at 1×1 maps, where
    instance norm is not defined.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.num_features = num_features
        self.batch = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum, affine=False)
        self.instance = InstanceNorm(num_features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.instance(self.batch(widened(x)))
        return y.to(x.dtype)
