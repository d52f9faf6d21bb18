"""Group norm and then batch norm. Unlike batch norm before instance norm, it is a norm of its own.

Pham et al., "Continual Normalization: Rethinking Batch Normalization for Online Continual
Learning", ICLR 2022. With one group it is layer norm over (C, H, W) and then batch norm.
"""

from torch import Tensor, nn

from normexp.norms.group import PlainGroupNorm
from normexp.norms.wide import widened


class GroupBatchNorm(nn.Module):
    """y = BN(GN(x)); the scale and the shift of each channel are the batch norm's.

    `x` (N, C, H, W) comes back in the same shape and type.
    """

    def __init__(
        self, num_features: int, *, num_groups: int = 8, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.group = PlainGroupNorm(num_features, num_groups=num_groups, eps=eps)
        self.batch = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.batch(self.group(widened(x)))
        return y.to(x.dtype)
