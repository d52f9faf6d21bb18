"""A damaged file is noticed, told and set aside: never a wrong result, never a traceback."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from normexp import tensors
from normexp.runs.catalogue import read_runs
from normexp.runs.files import DamagedFileError, read_record, write_sealed
from normexp.runs.record import RunRecord
from normexp.runs.result import RunResult

from .commands import ONE, SMALL, Findings, Start, found
from .size import IS_FULL, chance, size


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    """`content` truncated and with single bits flipped, at places over all of it."""
    places = chance(len(content))
    cuts, flips = size(3, 20), size(8, 200)
    for part in range(cuts):
        length = len(content) * part // cuts
        yield f"cut to {length} bytes", content[:length]
    yield "a byte short", content[:-1]
    for part in range(flips):
        # One in each of as many parts, so that no region is left out.
        begin, end = len(content) * part // flips, len(content) * (part + 1) // flips
        place, bit = places.randrange(begin, max(begin + 1, end)), places.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"bit {bit} of byte {place}", bytes(flipped)


def wrongly_read(file: Path, read: Callable[[Path], object], original: object) -> list[str]:
    """The damages that `read` does not notice, though what it returns is not the `original`."""
    wrong = []
    damages = list(damaged(file.read_bytes()))
    for what, content in damages:
        file.write_bytes(content)
        try:
            if read(file) != original:
                wrong.append(what)
        except DamagedFileError as error:
            assert str(file) in str(error)  # noqa: PT017
    print(f"{len(damages)} damages of {file.name}")
    return wrong


@pytest.mark.parametrize("load", [tensors.load, tensors.load_mapped])
def test_damaged_tensors_are_never_loaded(
    load: Callable[[Path], object], stopped: Path, finished: Path
) -> None:
    for file in (stopped / "checkpoint.pt", finished / "weights.pt"):
        assert wrongly_read(file, load, None) == []


def read(file: Path) -> object:
    return read_record(file, RunRecord if file.name == "run.json" else RunResult)


@pytest.mark.parametrize("name", ["result.json", "run.json"])
def test_a_damaged_record_is_never_read_as_another(name: str, finished: Path) -> None:
    file = finished / name
    assert wrongly_read(file, read, read(file)) == []


@pytest.mark.parametrize("name", ["result.json", "run.json"])
def test_the_table_of_runs_outlives_damaged_records(name: str, finished: Path) -> None:
    file = finished / name
    outputs, original = finished.parent.parent, read(file)
    for what, content in damaged(file.read_bytes()):
        file.write_bytes(content)
        table = read_runs(outputs)
        entries = table.entries
        failures = [str(entry.failure) for entry in entries]
        noticed = "damaged" in " ".join([*table.problems, *failures])
        assert noticed or read(file) == original, what
        if noticed:
            assert [entry.result for entry in entries] == [None] * (name == "result.json")


@pytest.mark.parametrize("name", ["checkpoint.pt", "run.json", "result.json"][: size(1, 3)])
def test_a_run_with_a_damaged_file_ends_the_same(
    name: str, start: Start, whole: Findings, stopped: Path, finished: Path
) -> None:
    folder = finished if name == "result.json" else stopped
    where, file = folder.parents[2], folder / name
    content = file.read_bytes()
    damages = list(damaged(content))
    for what, bad in chance(5).sample(damages, size(1, 8)):
        file.write_bytes(bad)
        command = start(where, "train", *SMALL, *ONE)
        assert command.wait() == 0, command.said()
        assert "Traceback" not in command.said()
        assert found(where) == whole, what
        aside = file.with_name(f"{name}.damaged")
        if name != "run.json":
            assert f"{name} is damaged" in command.said()
            assert aside.read_bytes() == bad
        if folder == stopped:  # half done once more
            (folder / "result.json").unlink()


class Creates:
    """Its pickle creates a file as it is loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self._file),)


def as_pickle(hostile: Creates) -> bytes:
    return pickle.dumps({"network": hostile})


def as_tensors(hostile: Creates) -> bytes:
    buffer = io.BytesIO()
    torch.save({"network": hostile, "step": 3}, buffer)
    return buffer.getvalue()


def as_old_tensors(hostile: Creates) -> bytes:
    buffer = io.BytesIO()
    torch.save({"network": hostile}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("write", [Path.write_bytes, write_sealed], ids=["raw", "sealed"])
@pytest.mark.parametrize("make", [as_pickle, as_tensors, as_old_tensors])
def test_a_pickle_that_would_create_a_file_is_refused(
    make: Callable[[Creates], bytes],
    write: Callable[[Path, bytes], object],
    start: Start,
    whole: Findings,
    stopped: Path,
    tmp_path: Path,
) -> None:
    trace = tmp_path / "created"
    content = make(Creates(trace))
    torch.load(io.BytesIO(content), weights_only=False) if make != as_pickle else pickle.loads(
        content
    )
    trace.rmdir()  # it would
    checkpoint = stopped / "checkpoint.pt"
    write(checkpoint, content)
    with pytest.raises(DamagedFileError):
        tensors.load(checkpoint)
    assert not trace.exists()
    if size(0, 1) or (make, write) == (as_tensors, write_sealed):
        where = stopped.parents[2]
        command = start(where, "train", *SMALL, *ONE)
        assert command.wait() == 0, command.said()
        assert "checkpoint.pt.damaged" in command.said()
        assert "Traceback" not in command.said()
        assert found(where) == whole
        assert not trace.exists()


def test_tensors_that_are_no_checkpoint_are_told_in_a_line(
    start: Start, whole: Findings, whole_folder: Path, stopped: Path
) -> None:
    """What `weights.pt`, copied over the checkpoint, does."""
    (weights,) = whole_folder.glob("outputs/runs/*/weights.pt")
    checkpoint = stopped / "checkpoint.pt"
    checkpoint.write_bytes(weights.read_bytes())
    where = stopped.parents[2]
    command = start(where, "train", *SMALL, *ONE)
    assert command.wait() == 1, command.said()
    assert "Traceback" not in command.said()
    last = command.said().splitlines()[-1]
    assert last.startswith("normexp: ")
    assert "checkpoint.pt" in last
    assert "remove the file" in last
    if not IS_FULL:
        return
    checkpoint.unlink()
    assert start(where, "train", *SMALL, *ONE).wait() == 0
    assert found(where) == whole
