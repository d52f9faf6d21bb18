from __future__ import annotations

import io
import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from normexp import tensors
from normexp.runs.files import DamagedFileError, write_sealed

Loader = Callable[[Path], dict[str, Any]]


def checkpoint() -> dict[str, Any]:
    """What a run keeps: tensors of several types, numbers, texts, lists, an optimizer's state."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.randn(2, 3, 5, 5)).square().sum().backward()
    optimizer.step()
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "totals": torch.tensor([0.1, 2.0, 3.0], dtype=torch.float64),
        "bytes": torch.arange(256).to(torch.uint8),
        "step": 7,
        "seconds": 0.25,
        "history": [{"epoch": 1, "val_loss": float("nan")}],
        "environment": {"device": "cpu", "threads": 1},
        "nothing": None,
    }


def assert_same(found: Any, expected: Any) -> None:
    """Equal in structure, type and every bit."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    else:
        assert type(found) is type(expected)
        assert found == expected or found != found


loaders = pytest.mark.parametrize("load", [tensors.load, tensors.load_mapped])


@loaders
def test_what_is_saved_is_loaded_bit_by_bit(tmp_path: Path, load: Loader) -> None:
    content = checkpoint()
    tensors.save(tmp_path / "x.pt", content)
    assert_same(load(tmp_path / "x.pt"), content)
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_a_change_of_a_mapped_tensor_is_not_one_of_the_file(tmp_path: Path) -> None:
    tensors.save(tmp_path / "x.pt", checkpoint())
    tensors.load_mapped(tmp_path / "x.pt")["bytes"].zero_()
    assert_same(tensors.load(tmp_path / "x.pt"), checkpoint())


def test_a_mapped_tensor_stays_when_the_file_is_replaced(tmp_path: Path) -> None:
    tensors.save(tmp_path / "x.pt", checkpoint())
    mapped = tensors.load_mapped(tmp_path / "x.pt")
    tensors.save(tmp_path / "x.pt", {})
    (tmp_path / "x.pt").unlink()
    assert_same(mapped, checkpoint())


def test_torch_reads_the_file_too(tmp_path: Path) -> None:
    content = checkpoint()
    tensors.save(tmp_path / "x.pt", content)
    assert_same(torch.load(tmp_path / "x.pt", weights_only=True), content)


@loaders
def test_a_flipped_bit_or_a_cut_is_noticed(tmp_path: Path, load: Loader) -> None:
    path = tmp_path / "x.pt"
    tensors.save(path, checkpoint())
    whole = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(whole)), 50):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError, match=r"x\.pt"):
            load(path)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=r"x\.pt"):
            load(path)


class Malicious:
    """Unpickling it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("how", ["pickle", "torch", "torch without zip"])
@loaders
def test_a_file_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, how: str, load: Loader
) -> None:
    target = tmp_path / "created"
    content = {"network": Malicious(target)}
    buffer = io.BytesIO()
    if how == "pickle":
        pickle.dump(content, buffer, protocol=2)  # torch's
    else:
        torch.save(content, buffer, _use_new_zipfile_serialization=how == "torch")
    write_sealed(tmp_path / "x.pt", buffer.getvalue())

    with pytest.raises(DamagedFileError, match=r"x\.pt holds something else than tensors"):
        load(tmp_path / "x.pt")
    assert not target.exists()

    # The file is indeed one that would have.
    buffer.seek(0)
    if how == "pickle":
        pickle.load(buffer)
    else:
        torch.load(buffer, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PK\x03\x04", json.dumps({"a": 1}).encode(), b"\x80\x02.", b"a text"]
)
@loaders
def test_a_sealed_file_of_something_else_is_refused(
    tmp_path: Path, content: bytes, load: Loader
) -> None:
    write_sealed(tmp_path / "x.pt", content)
    with pytest.raises(DamagedFileError, match=r"x\.pt"):
        load(tmp_path / "x.pt")


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
@loaders
def test_a_lack_of_memory_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, load: Loader
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    tensors.save(tmp_path / "x.pt", checkpoint())
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(type(error)):
        load(tmp_path / "x.pt")


@loaders
def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path: Path, load: Loader) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "gone.pt")
