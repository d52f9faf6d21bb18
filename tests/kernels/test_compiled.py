"""Without a compiler, or with one that fails, networks stay torch's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers.needs import needs_compiler
from torch import nn

from normexp import kernels
from normexp.kernels import accelerate, calls, compiled
from normexp.runs.files import write_sealed

CPU = torch.device("cpu")


@pytest.fixture
def nothing_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with nothing in it."""
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path))
    compiled.found.cache_clear()
    yield tmp_path
    compiled.found.cache_clear()


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
    with monkeypatch.context() as broken:
        broken.setattr(compiled, "FLAGS", ("--no-such-flag",))
        assert compiled.library() is None
    assert "--no-such-flag" in kernels.missing(CPU)
    assert files_of(nothing_compiled) == []


def files_of(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def only_file(cache: Path) -> Path:
    (file,) = files_of(cache)
    return file


def loads(cache: Path) -> bool:
    """Whether a new process has the functions, with that folder; it may end by a signal."""
    code = (
        "from normexp.kernels import compiled; library = compiled.library(); "
        "print(library is not None and all(hasattr(library, f) for f in compiled.FUNCTIONS))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NORMEXP_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and done.stdout == "True\n"


@pytest.fixture(scope="module")
def library_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled without optimisation, as the tests make many."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as quick:
        quick.setenv("NORMEXP_CACHE", str(cache))
        quick.setattr(compiled, "FLAGS", (*compiled.FLAGS[:1], "-O0", *compiled.FLAGS[2:]))
        compiled.found.cache_clear()
        assert compiled.library() is not None
    compiled.found.cache_clear()
    return only_file(cache)


def compiler_that_copies(library: Path, folder: Path) -> str:
    """Return a PATH with a compiler that takes no time: it hands out a library that is there."""
    folder.mkdir()
    compiler = folder / "c++"
    compiler.write_text(
        f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nexec /bin/cp "{library}" "$2"\n'
    )
    compiler.chmod(0o700)
    return str(folder)


@pytest.fixture
def cache(library_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache where a library is, and a compiler that takes no time."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("NORMEXP_CACHE", str(cache))
    monkeypatch.setenv("PATH", compiler_that_copies(library_file, tmp_path / "bin"))
    compiled.found.cache_clear()
    assert compiled.library() is not None
    compiled.found.cache_clear()
    yield cache
    compiled.found.cache_clear()


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


def with_a_wrong_bit(content: bytes, share: float) -> bytes:
    place = int((len(content) - 1) * share)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@needs_compiler
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("damage", [cut, with_a_wrong_bit])
def test_a_damaged_library_is_made_anew(
    cache: Path, share: float, damage: Callable[[bytes, float], bytes]
) -> None:
    file = only_file(cache)
    whole = file.read_bytes()
    file.unlink()  # this process may have it in memory
    file.write_bytes(damage(whole, share))
    assert compiled.library() is not None
    assert file.read_bytes() == whole


@needs_compiler
def test_a_library_that_was_cut_short_does_not_end_the_process(cache: Path) -> None:
    file = only_file(cache)
    whole = file.read_bytes()
    file.unlink()  # this process has it in memory, and would end by SIGBUS
    file.write_bytes(whole[: len(whole) // 2])
    assert loads(cache)


@needs_compiler
def test_a_library_without_its_functions_is_made_anew(cache: Path) -> None:
    file = only_file(cache)
    whole = file.read_bytes()
    write_sealed(file, b"of an older version")
    assert compiled.library() is not None
    assert file.read_bytes() == whole


@needs_compiler
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_from_a_folder_that_others_can_write_nothing_is_loaded(cache: Path, mode: int) -> None:
    only_file(cache).parent.chmod(mode)
    assert compiled.library() is None
    assert "written by other users" in kernels.missing(CPU)


@needs_compiler
def test_a_file_that_others_can_write_is_made_anew(cache: Path) -> None:
    file = only_file(cache)
    file.chmod(0o666)
    assert compiled.library() is not None
    assert file.stat().st_mode & 0o077 == 0


@needs_compiler
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_what_another_user_has_put_there_is_not_loaded(cache: Path) -> None:
    file = only_file(cache)
    os.chown(file, 12345, 12345)
    assert compiled.library() is not None
    assert file.stat().st_uid == 0
    compiled.found.cache_clear()
    os.chown(file.parent, 12345, 12345)
    assert compiled.library() is None
    assert "belongs to another user" in kernels.missing(CPU)


@needs_compiler
def test_a_folder_that_cannot_be_made_is_named(
    nothing_compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = nothing_compiled / "file"
    taken.touch()
    monkeypatch.setenv("NORMEXP_CACHE", str(taken))
    assert compiled.library() is None
    assert str(taken) in kernels.missing(CPU)
    assert "NORMEXP_CACHE" in kernels.missing(CPU)


@needs_compiler
def test_a_compiler_that_failed_is_tried_again(
    library_file: Path, nothing_compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", compiler_that_copies(library_file, tmp_path / "bin"))
    compiler = tmp_path / "bin" / "c++"
    works = compiler.read_text()
    compiler.write_text("#!/bin/sh\necho norm.cpp: error: no OpenMP >&2\nexit 1\n")
    assert compiled.library() is None
    assert "norm.cpp: error: no OpenMP" in kernels.missing(CPU)
    compiled.found.cache_clear()
    (tmp_path / "bin" / "c++").write_text(works)
    assert compiled.library() is not None


@needs_compiler
def test_processors_of_two_kinds_have_a_file_each(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "processor", lambda: ["of another kind"])
    assert compiled.library() is not None
    assert len(files_of(cache)) == 2


@needs_compiler
def test_what_killed_compilers_left_is_removed(cache: Path) -> None:
    folder = only_file(cache).parent
    old, new = folder / ".kernels-0.so.another.1.tmp", folder / ".kernels-0.so.another.2.tmp"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    for file in folder.glob("*.so"):
        file.unlink()
    assert compiled.library() is not None
    assert not old.exists()
    assert new.exists()


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
