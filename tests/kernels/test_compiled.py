"""Without a compiler, or with one that fails, networks stay torch's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.needs import needs_compiler
from torch import nn

from normexp import kernels
from normexp.kernels import accelerate, calls, compiled

CPU = torch.device("cpu")


@pytest.fixture
def nothing_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with nothing in it."""
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path))
    compiled.library.cache_clear()
    yield tmp_path
    compiled.library.cache_clear()


def test_without_a_compiler_no_layer_is_swapped_and_a_warning_says_so(
    nothing_compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    layer = nn.BatchNorm2d(16)
    accelerate(layer)
    assert type(layer) is nn.BatchNorm2d
    assert kernels.describe(CPU) == "none"
    assert "install g++" in kernels.missing(CPU)
    assert kernels.missing(torch.device("cuda")) == ""


@needs_compiler
def test_a_compiler_that_fails_leaves_nothing_behind(
    nothing_compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "FLAGS", ("--no-such-flag",))
    assert compiled.library() is None
    assert list(nothing_compiled.iterdir()) == []


@needs_compiler
def test_with_a_compiler_there_is_nothing_to_say() -> None:
    assert (kernels.describe(CPU), kernels.missing(CPU)) == ("compiled", "")
    assert kernels.describe(torch.device("cuda")) == "none"


@pytest.mark.parametrize(
    ("tensor", "found"),
    [
        (torch.ones(4), r"\(4,\)"),
        (torch.ones(8).double(), "float64"),
        (torch.ones(16)[::2], r"strides \(2,\)"),
        (torch.ones(8, device="meta"), "meta"),
    ],
)
def test_a_tensor_that_a_kernel_does_not_take_has_no_address(
    tensor: torch.Tensor, found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        calls.address(tensor, (8,), torch.float32)


def test_images_must_lie_in_channels_last() -> None:
    x = torch.ones(2, 16, 4, 4)
    with pytest.raises(ValueError, match="channels_last"):
        calls.address(x, (2, 16, 4, 4), torch.float32)
    x = x.contiguous(memory_format=torch.channels_last)
    assert calls.address(x, (2, 16, 4, 4), torch.float32) == x.data_ptr()
