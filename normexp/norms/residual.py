"""The residual branches of a network, for norms that depend on them."""

from collections.abc import Sequence

from torch import nn

from normexp.contracts import Place


def residual_branches(network: nn.Module, places: Sequence[Place]) -> list[list[nn.Conv2d]]:
    """Return the convolutions of each residual branch, in the order of the network's modules.

    A branch goes from a norm of the role `first` to the next of the role `last`. A convolution
    belongs to the norm after it, so those of shortcuts are left out. Raises ValueError if there is
    no branch.
    """
    roles = {place.name: place.role for place in places}
    branches: list[list[nn.Conv2d]] = []
    branch: list[nn.Conv2d] = []
    before: list[nn.Conv2d] = []  # the convolution before the norm, if there is one
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            before = [module]
        role = roles.get(name)
        if role == "first":
            branch = []
        if role in ("first", "norm", "last"):
            branch += before
            before = []
        if role == "last":
            branches.append(branch)
    if not branches:
        raise ValueError(
            "the network has no residual branches (no norm has the role `last`), on which this "
            "norm rests: use norm=none, or a residual network such as model=resnet20"
        )
    return branches


def require_residual_branches(network: nn.Module, places: Sequence[Place]) -> None:
    """Raise ValueError if the network has no residual branches."""
    residual_branches(network, places)
