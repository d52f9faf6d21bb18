from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from normexp.runs import files
from normexp.runs.files import (
    DamagedFileError,
    check_sealed,
    read_sealed,
    write_atomic,
    write_sealed,
)

CONTENT = bytes(range(256)) * 4
Reader = Callable[[Path], object]


def fail(_: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_a_file_is_replaced_by_its_new_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    write_atomic(path, content)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_until_all_is_on_disk_the_file_is_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[bytes] = []

    def look(number: int) -> None:
        seen.append(path.read_bytes())
        assert os.fstat(number).st_size == len(CONTENT)

    monkeypatch.setattr(os, "fsync", look)
    write_atomic(path, CONTENT)
    assert seen == [b"old"]
    assert path.read_bytes() == CONTENT


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, CONTENT)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_sealed(tmp_path / "file", CONTENT)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, CONTENT)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(path, CONTENT)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "gone" / "file", CONTENT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_what_is_sealed_is_read_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sealed"
    write_sealed(path, content)
    assert read_sealed(path) == content
    assert path.read_bytes().startswith(content)


readers = pytest.mark.parametrize("read", [read_sealed, check_sealed])


def test_a_file_of_several_chunks_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk_bytes in (1, 7, len(CONTENT), len(CONTENT) + 1):
        monkeypatch.setattr(files, "CHUNK_BYTES", chunk_bytes)
        write_sealed(tmp_path / "sealed", CONTENT)
        check_sealed(tmp_path / "sealed")


@readers
def test_one_flipped_bit_anywhere_is_noticed(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "sealed"
    write_sealed(path, CONTENT)
    sealed = path.read_bytes()
    bits = random.Random(0).sample(range(8 * len(sealed)), 50)
    in_the_seal = range(8 * len(CONTENT), 8 * len(sealed), 16)
    for bit in [0, *bits, *in_the_seal, 8 * len(sealed) - 1]:
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError, match=r"sealed is damaged"):
            read(path)


@readers
def test_a_file_that_is_cut_or_longer_is_noticed(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "sealed"
    write_sealed(path, CONTENT)
    sealed = path.read_bytes()
    lengths = [0, 1, 39, 40, 41, *random.Random(0).sample(range(len(sealed)), 20), len(sealed) - 1]
    for damaged in [*(sealed[:length] for length in lengths), sealed + b"\0", sealed + sealed]:
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError):
            read(path)


@readers
def test_a_file_that_was_never_sealed_is_noticed(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "file"
    for content in (b"", b"{}", CONTENT):
        write_atomic(path, content)
        with pytest.raises(DamagedFileError, match=str(path)):
            read(path)


@readers
def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path: Path, read: Reader) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone")


def test_what_a_killed_process_left_of_a_file_goes_when_it_is_written_again(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = platform.node()
    left, old, *stay = (
        tmp_path / f".{name}.{process}.tmp"
        for name, process in (
            ("a.json", f"{here}.{ended.pid}"),
            ("a.json", "elsewhere.1"),
            ("a.json", f"elsewhere.{ended.pid}"),
            ("a.json", f"{here}.{os.getppid()}"),
            ("b.json", f"{here}.{ended.pid}"),
        )
    )
    for file in (left, old, *stay):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_atomic(tmp_path / "a.json", b"whole")
    assert {*tmp_path.iterdir()} == {tmp_path / "a.json", *stay}
