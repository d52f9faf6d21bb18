"""Batch norm whose statistics are frozen after a share of the training.

From then on training has the running statistics, fixed, as evaluation has them: the "frozen BN" of
detectors that are trained on a few images a GPU (He et al., "Deep Residual Learning for Image
Recognition", CVPR 2016, has it for Faster R-CNN).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenBatchNorm(nn.BatchNorm2d):
    """torch's batch norm up to the share `frozen_from` of the training, then with fixed statistics.

    From 0 on they are those that a pretrained network brings. Scale and shift go on learning. `x`
    (N, C, H, W) comes back in the same shape and type.
    """

    frozen: Tensor  # whether the statistics are fixed, a boolean scalar

    def __init__(
        self,
        num_features: int,
        *,
        frozen_from: float = 0.5,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        if not 0 <= frozen_from < 1:
            raise ValueError(
                f"frozen_from={frozen_from}: a share of the training from 0 and below 1 is needed"
            )
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.frozen_from = frozen_from
        self._is_frozen = frozen_from == 0  # to read the buffer on the device only once
        self.register_buffer("frozen", torch.tensor(self._is_frozen))
        self.register_load_state_dict_post_hook(_look_again)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self._is_frozen):
            return super().forward(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def after_step(self, progress: float) -> bool:
        """Freeze the statistics when it is time; return whether this was the step."""
        changes = progress >= self.frozen_from and not self._is_frozen
        if changes:
            self._is_frozen = True
            self.frozen.fill_(True)
        return changes


def _look_again(layer: FrozenBatchNorm, _: object) -> None:
    """After a state was loaded, the buffer may say something else."""
    layer._is_frozen = bool(layer.frozen)
