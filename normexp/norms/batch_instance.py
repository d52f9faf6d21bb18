"""Batch norm and instance norm of the same channels, mixed by a gate for each channel."""

from torch import Tensor, nn

from normexp.norms.scale_shift import ScaleShift
from normexp.norms.wide import widened


class BatchInstanceNorm(ScaleShift):
    """Batch norm, instance norm, and one scale and shift; a subclass says how they are mixed."""

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features)
        self.batch = nn.BatchNorm2d(num_features, eps=eps, momentum=momentum, affine=False)
        self.instance = nn.InstanceNorm2d(num_features, eps=eps)

    def mixed(self, x: Tensor, gate: Tensor) -> Tensor:
        """Return weight·(gate·BN(x) + (1 − gate)·IN(x)) + bias.

        The gate is (C,) in [0, 1]. `x` (N, C, H, W) comes back in the same shape and type. Raises
        ValueError at 1×1 maps, where instance norm is not defined.
        """
        wide = widened(x)  # the two differ by little, and a gate learns from the difference
        gate = gate[:, None, None]
        mixed = gate * self.batch(wide) + (1 - gate) * self.instance(wide)
        return super().forward(mixed).to(x.dtype)
