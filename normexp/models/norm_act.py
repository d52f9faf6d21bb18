"""A norm and the activation after it."""

from torch import Tensor, nn


class NormAct(nn.Module):
    """act(end(norm(x) + shortcut)): the step of a network from a convolution to the next.

    It is called with the layers and holds none, so that they are the block's own and keep their
    names in the state, such as `stage1.0.norm1.weight`. `end` is the place for a norm after the
    addition. (N, C, H, W) to the same shape.
    """

    def forward(
        self,
        x: Tensor,
        norm: nn.Module,
        act: nn.Module,
        end: nn.Module | None = None,
        shortcut: Tensor | None = None,
    ) -> Tensor:
        y: Tensor = norm(x)
        if shortcut is not None:
            y = y + shortcut
        if end is not None:
            y = end(y)
        out: Tensor = act(y)
        return out
