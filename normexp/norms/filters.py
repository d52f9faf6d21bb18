"""The change of the convolutions by a norm, as in weight norm and weight standardisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from torch import nn
from torch.nn.utils import parametrize

from normexp.norms.weight_norm import UnitFilters
from normexp.norms.weight_std import StandardFilters

OURS = (StandardFilters, UnitFilters)


def bared(conv: nn.Conv2d) -> list[nn.Module]:
    """Return our changes of the weight of `conv`; none where there are others among them."""
    if not parametrize.is_parametrized(conv, "weight"):
        return []
    changes = list(conv.get_submodule("parametrizations.weight").children())
    return changes if all(isinstance(change, OURS) for change in changes) else []


def bare(conv: nn.Conv2d) -> list[nn.Module]:
    """Take our changes off the weight of `conv`, and return them; the weight below stays."""
    if changes := bared(conv):
        parametrize.remove_parametrizations(conv, "weight", leave_parametrized=False)
    return changes


def change_filters(convs: Iterable[nn.Conv2d], change: Callable[[nn.Conv2d], None] | None) -> None:
    """Put `change` on each convolution in the place of ours that it has.

    Where one raises, all are as they were. Raises ValueError where an argument is no number.
    """
    with ExitStack() as undo:
        for conv in convs:
            undo.callback(restore, conv, bare(conv))
            if change is not None:
                changed(conv, change)
        undo.pop_all()


def restore(conv: nn.Conv2d, changes: Iterable[nn.Module]) -> None:
    """Put our earlier `changes` on a convolution in the place of those that it has."""
    bare(conv)
    for each in changes:
        parametrize.register_parametrization(conv, "weight", each)


def changed(conv: nn.Conv2d, change: Callable[[nn.Conv2d], None]) -> None:
    """Change a convolution; raises ValueError where an argument is no number."""
    arguments = getattr(change, "keywords", {}).items()
    wrong = [f"norm.conv.{name}={value}" for name, value in arguments if isinstance(value, str)]
    try:
        change(conv)
    except TypeError as error:
        if not wrong:
            raise
        words = f"norm.conv cannot change the convolutions: {error} ({', '.join(wrong)})"
        raise ValueError(words) from error
