from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from normexp.data import memory
from normexp.data.torchvision_set import torchvision_set
from normexp.errors import UserError


class Drawn:
    """A data set as torchvision has them, of grey images."""

    classes = ("zero", "one")

    def __init__(self, root: str, split: str, download: bool) -> None:
        self.number = {"train": 6, "test": 4}[split]
        self.sizes = [(8, 6), (6, 8)]

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.new("L", self.sizes[i % 2], 40 * i), i % 2


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.Drawn", Drawn, raising=False)


def test_a_set_of_torchvision_is_read(tmp_path: Path) -> None:
    source = torchvision_set("Drawn", "x", str(tmp_path), 4, download=False)
    assert source.train.images.shape == (6, 4, 4, 3)
    assert source.train.images[:, 0, 0, 1].tolist() == [0, 40, 80, 120, 160, 200]
    assert source.test.labels.tolist() == [0, 1, 0, 1]
    assert source.classes == ("zero", "one")


def test_transparent_pixels_are_white_as_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    monkeypatch.setattr(Drawn, "__getitem__", lambda _, i: (clear, i % 2))
    source = torchvision_set("Drawn", "x", str(tmp_path), None, download=False)
    assert source.train.images.min() == 255


def test_each_folder_has_a_cache_of_its_own(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        torchvision_set("Drawn", folder, str(tmp_path), 4, download=False)
    assert len(list(tmp_path.glob("torchvision-Drawn-4-*.pt"))) == 2


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = torchvision_set("Drawn", "x", str(tmp_path / "file" / "cache"), 4, download=False)
    assert len(source.train) == 6
    assert "could not be kept" in source.notes[0]


def test_a_set_without_training_and_test_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="FakeData has no training and test images"):
        torchvision_set("FakeData", "x", str(tmp_path), None, download=False)


def test_labels_that_are_no_classes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = torch.zeros(40)
    monkeypatch.setattr(Drawn, "__getitem__", lambda *_: (Image.new("L", (8, 8)), attributes))
    with pytest.raises(UserError, match=r"Drawn: a label is of type Tensor, no number"):
        torchvision_set("Drawn", "x", str(tmp_path), 4, download=False)


def test_a_mistake_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"data.source.resize=64 makes all 64×64"):
        torchvision_set("Drawn", "x", str(tmp_path), None, download=False)
    with pytest.raises(UserError, match="dataset=CIFAR99: torchvision"):
        torchvision_set("CIFAR99", "x", str(tmp_path), None, download=False)
    with pytest.raises(UserError, match="CIFAR100 is not in"):
        torchvision_set("CIFAR100", str(tmp_path), str(tmp_path), None, download=False)
    (tmp_path / "meminfo").write_text("MemAvailable: 1 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    with pytest.raises(UserError, match=r"6 images of 224×224 pixels take 0.0 GB of memory"):
        torchvision_set("Drawn", "x", str(tmp_path), 224, download=False)


def test_cifar_100_keeps_its_bytes_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
    for name in ("train", "test"):
        content = {"data": pixels, "fine_labels": [1, 0, 2]}
        (folder / name).write_bytes(pickle.dumps(content))
    names = {"fine_label_names": ["apple", "bear", "cup"]}
    (folder / "meta").write_bytes(pickle.dumps(names))
    monkeypatch.setattr("torchvision.datasets.CIFAR100._check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    source = torchvision_set("CIFAR100", str(tmp_path), str(tmp_path), None, download=False)
    assert source.classes == ("apple", "bear", "cup")
    expected = torch.from_numpy(pixels).view(3, 3, 32, 32).permute(0, 2, 3, 1)
    assert torch.equal(source.train.images, expected)
