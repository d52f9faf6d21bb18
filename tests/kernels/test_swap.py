"""A norm and its ReLU are one where the norm can, and two for whoever looks between them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from normexp.models.joined import norm_and_act
from torch import Tensor, nn

from normexp.contracts import EmptySite, ThenReLU
from normexp.norms.batch import BatchNorm

X = torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(0))


class Seen(BatchNorm):
    """Tells how it was called."""

    def forward(self, x: Tensor, then: ThenReLU | None = None) -> Tensor:
        self.was_joined = then is not None
        return super().forward(x, then)


def is_joined(norm: nn.Module, end: nn.Module | None, act: nn.Module) -> Any:
    y = norm_and_act(X, norm, end, act)
    joined = getattr(norm, "was_joined", None)
    expected = act(norm(X))
    torch.testing.assert_close(y, expected)
    return joined


def norm() -> Seen:
    return Seen(16, eps=1e-5, momentum=0.1)


@pytest.mark.parametrize(
    ("end", "act", "expected"),
    [
        (None, nn.ReLU(inplace=True), True),
        (EmptySite(16), nn.ReLU(), True),
        (nn.Identity(), nn.ReLU(), False),
        (None, nn.Identity(), False),
        (None, nn.ReLU6(), False),
    ],
)
def test_only_a_plain_relu_right_after_the_norm_is_joined(
    end: nn.Module | None, act: nn.Module, expected: bool
) -> None:
    assert is_joined(norm(), end, act) is expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shortcut_is_joined_if_it_is_of_the_norms_type(dtype: torch.dtype) -> None:
    joined, apart, shortcut = norm(), norm(), X.flip(0).to(dtype)
    y = norm_and_act(X, joined, EmptySite(16), nn.ReLU(), shortcut)
    assert joined.was_joined == (dtype == torch.float32)
    torch.testing.assert_close(y, torch.relu(apart(X) + shortcut), rtol=0, atol=0)


def test_a_norm_of_another_kind_is_called_as_it_is() -> None:
    assert is_joined(nn.BatchNorm2d(16), None, nn.ReLU()) is None


@pytest.mark.parametrize("looked_at", ["norm", "end", "act"])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hook_sees_what_it_would_see(looked_at: str, kind: str) -> None:
    modules = {"norm": norm(), "end": EmptySite(16), "act": nn.ReLU()}
    seen: list[Tensor] = []
    getattr(modules[looked_at], kind)(lambda _, x, *y: seen.append(y[0] if y else x[0]))
    norm_and_act(X, modules["norm"], modules["end"], modules["act"])
    is_after_act = looked_at == "act" and kind == "register_forward_hook"
    assert len(seen) == 1
    assert (seen[0].min() >= 0) == is_after_act


def test_a_forward_of_its_own_gets_images_alone() -> None:
    changed = norm()
    changed.forward = lambda x: x - 1  # type: ignore[method-assign, assignment, misc]
    y = norm_and_act(X, changed, None, nn.ReLU())
    torch.testing.assert_close(y, torch.relu(X - 1))
