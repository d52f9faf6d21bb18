"""Whether somebody looks at a layer, or has changed what it does."""

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.module import _has_any_global_hook


def is_unseen(modules: Iterable[nn.Module | None]) -> bool:
    """Whether no module has a hook or a `forward` of its own, so that none need be called."""
    if _has_any_global_hook():  # type: ignore[no-untyped-call]
        return False
    for m in modules:  # thrice as fast as `any`, and this is asked at every norm of every step
        if m is not None and (
            m._forward_hooks
            or m._forward_pre_hooks
            or m._backward_hooks
            or m._backward_pre_hooks
            or "forward" in vars(m)
        ):
            return False
    return True
