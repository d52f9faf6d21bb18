from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from normexp.contracts import DataSource
from normexp.data.cifar10 import cifar10
from normexp.errors import UserError


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("[Errno 101] Network is\n unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.mark.usefixtures("_no_network")
def test_without_a_network_the_user_is_told_three_ways_on(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "Network is unreachable" in message
    assert "three ways on" in message
    for way in ("data.root=<", "data=images", "data=generated"):
        assert way in message
    assert "\n" not in message


@pytest.mark.usefixtures("_no_network")
def test_a_place_that_cannot_hold_it_is_told_likewise(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"/file/cifar and could not be downloaded"):
        cifar10(str(tmp_path / "file" / "cifar"), str(tmp_path / "cache"))


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The pixels of four training images and a test image, in files of torchvision's layout."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()

    def put(name: str, content: dict[str, Any]) -> list[str]:
        pickled = pickle.dumps(content)
        (folder / name).write_bytes(pickled)
        return [name, hashlib.md5(pickled).hexdigest()]

    generator = np.random.default_rng(0)
    flat = generator.integers(0, 256, (5, 3072), dtype=np.uint8)
    batches = [
        put("data_batch_1", {"data": flat[:2], "labels": [1, 0]}),
        put("data_batch_2", {"data": flat[2:4], "labels": [1, 1]}),
    ]
    test_batches = [put("test_batch", {"data": flat[4:], "labels": [0]})]
    names = put("batches.meta", {"label_names": ["cat", "dog"]})
    monkeypatch.setattr(CIFAR10, "train_list", batches)
    monkeypatch.setattr(CIFAR10, "test_list", test_batches)
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": names[0], "key": "label_names", "md5": names[1]}
    )
    return flat


def load(root: Path) -> DataSource:
    return cifar10(str(root), str(root / "cache"))


def assert_holds(found: DataSource, flat: np.ndarray) -> None:
    # A row holds 1024 red bytes, then green, then blue, each of 32 rows of 32 pixels.
    expected = flat.reshape(5, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found.train.images.numpy(), expected[:4])
    np.testing.assert_array_equal(found.test.images.numpy(), expected[4:])
    assert found.train.labels.tolist() == [1, 0, 1, 1]
    assert found.test.labels.tolist() == [0]
    assert found.classes == ("cat", "dog")


@pytest.mark.usefixtures("_no_network")
def test_files_in_torchvisions_layout_are_read(tmp_path: Path, flat: np.ndarray) -> None:
    assert_holds(load(tmp_path), flat)


@pytest.mark.usefixtures("_no_network")
def test_the_second_reading_needs_neither_the_files_nor_torchvision(
    tmp_path: Path, flat: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path)
    shutil.rmtree(tmp_path / CIFAR10.base_folder)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # an import of it raises
    assert_holds(load(tmp_path), flat)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda b: b + b"x"])
def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, flat: np.ndarray, damage: Callable[[bytes], bytes]
) -> None:
    load(tmp_path)
    (cache,) = (tmp_path / "cache").iterdir()
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert_holds(load(tmp_path), flat)
    assert cache.read_bytes() == whole


@pytest.mark.usefixtures("_no_network")
def test_a_damaged_archive_is_told_and_not_kept(tmp_path: Path, flat: np.ndarray) -> None:
    file = tmp_path / CIFAR10.base_folder / "data_batch_2"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"could not be downloaded"):
        load(tmp_path)
    assert not (tmp_path / "cache").exists()
