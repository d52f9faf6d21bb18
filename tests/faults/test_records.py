"""Records that are wrong in any way are named in a line, and hide none of the others."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.made import leave_lens, make_run, make_study
from helpers.results import sealed
from helpers.typed import Answer, normexp

from normexp.commands import evaluate, tensorboard
from normexp.runs.folder import RunFolder

from .size import IS_FULL

STUDY = "batch_sizes"  # of a claim
HUNDRED_MB = 100 * 2**20
Wrong = Callable[[Path], object]

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"format": 1, "na',
    "null": b"null",
    "a list": b"[]",
    "no record": b'{"checksum": 1}',
    "deep": b"[" * 10**5,
    "deep keys": b'{"a":' * 10**4,
    "zeros": bytes(500),
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "not a number": b'{"a": NaN}',
    "a long number": b'{"a": ' + b"9" * 10**4 + b"}",
}
"""What may stand in a file instead of a record."""


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 1


VALUES: dict[str, list[tuple[str, object]]] = {
    "run.json": [
        *(("settings", None), ("settings.batch_size", "many"), ("settings.batch_size", 0)),
        *(("settings.seed", 10**400), ("settings.norm", 5), ("settings.norm.name", "\x1b[2J")),
        *(("settings.data.source", deep(400)), ("settings.typo", 1), ("format", 2)),
        *(("numerics", "2"), ("studies", 5), ("design", "guessed"), ("source", [])),
    ],
    "result.json": [
        *(("test.accuracy", "high"), ("test.accuracy", float("nan")), ("test.accuracy", 7.0)),
        *(("test.accuracy", float("inf")), ("test.contrast", {}), ("test.contrast.5", None)),
        *(("test.confusion", [[1, 2], [3]]), ("test.correct", "*"), ("classes", [])),
        *(("test", None), ("steps", 10**30), ("history", deep(300)), ("outcome", "ended")),
        *(("timing.seconds", 10**400), ("environment", {})),
    ],
    "lens.json": [
        *(("rows", 5), ("rows", [{"accuracy": 1}]), ("rows", [{"axis": "contrast", "level": "x"}])),
        ("rows", [{"axis": "statistics", "accuracy": "high"}]),
    ],
}
"""Values that do not belong there, by dotted key; the checksum is right."""


def with_value(key: str, value: object, name: str) -> Wrong:
    def damage(folder: Path) -> None:
        plain = json.loads((folder / name).read_text())
        *way, last = key.split(".")
        inner = plain
        for each in way:
            inner = inner[each]
        inner[last] = value
        (folder / name).write_text(sealed(plain))

    return damage


def in_its_place(name: str, make: Wrong) -> Wrong:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def of_nobody(name: str, folder: Path) -> None:
    (folder / name).chmod(0)


def of_size(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUNDRED_MB)


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def copied(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name(f"copy of {folder.name}"))


def at_a_time_to_come(folder: Path) -> None:
    later = time.time() + 10**8
    os.utime(folder / "result.json", (later, later))


def wrongs() -> Iterator[tuple[str, Wrong]]:
    """Yield what each does, and how it is done to the folder of a run."""
    for name, values in VALUES.items():
        for what, content in CONTENTS.items():
            if name != "lens.json" or what in ("cut", "deep", "null"):
                yield f"{name}: {what}", in_its_place(name, partial(write, content))
        for key, value in values:
            yield f"{name}: {key}={str(value)[:9]!r}", with_value(key, value, name)
        for make in (os.mkfifo, Path.mkdir, of_size, to_itself):
            yield f"{name}: {make.__name__}", in_its_place(name, make)
        yield f"{name}: nobody's", partial(of_nobody, name)
    yield "copied", copied
    yield "at a time to come", at_a_time_to_come


ROWS = [
    {"axis": "contrast", "change": change, "level": level, "statistics": statistics} | rest
    for statistics in ("running", "batch")
    for change, level in (("none", 1.0), ("corruption", 0.5), ("corruption", 0.15), ("curve", 1.0))
    for rest in [{"batch_size": None, "accuracy": 0.5, "changed": 0.1}]
]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with twelve good runs and a wrong one of each kind; what is wrong, by folder."""
    where = tmp_path_factory.mktemp("records")
    outputs, names = where / "outputs", {}
    make_study(outputs, ["batch", "instance"], [2, 8], 3, lambda *_: 0.5, study=STUDY)
    for run in outputs.glob("runs/*-instance-*"):
        leave_lens(RunFolder(run), *ROWS)
    for i, (what, damage) in enumerate(wrongs()):
        folder = make_run(outputs, 0.5, study=STUDY, seed=100 + i)
        leave_lens(folder, *ROWS)
        damage(folder.path)
        names[folder.name] = what
    # Right ones, of which a terminal would obey what they say.
    for i, key in enumerate(("command", "studies.0")):
        folder = make_run(outputs, "failed", study=STUDY, seed=1000 + i)
        plain = json.loads(folder.record_file.read_text())
        plain["command"] = "normexp \x1b[2J\x07 | <script> \\input{x} =1+1"
        plain["studies"] = [STUDY, "\x1b[31mred", "\udcff"]
        folder.record_file.write_text(sealed(plain))
        folder.record_failure(f"\x1b]0;title\x07 {key}\r\n\x9b2J \u202e")
    return where, names


@pytest.fixture(autouse=True)
def nobody_reads_what_is_mode_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any user but root."""
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if not path.stat().st_mode & 0o400:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


COMMANDS: dict[str, tuple[str, ...]] = {
    "runs": (),
    "advise": (),
    "claims": ("claim=c05",),
    "evaluate": (f"study={STUDY}",),
    **({"report": (), "tensorboard": ()} if IS_FULL else {}),
}
OF_THE_LENS = ("report", "claims")


def typed(command: str, where: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    # The lens needs weights, and the server does not end.
    monkeypatch.setattr(evaluate, "evaluate_each", lambda folders, *_: lensless(folders))
    monkeypatch.setattr(tensorboard, "serve", lambda *_: None)
    return normexp(where, command, *COMMANDS[command])


def lensless(folders: list[RunFolder]) -> set[RunFolder]:
    return {folder for folder in folders if folder.path.name.split("-s")[-1][:3].isdigit()}


@pytest.mark.skipif(not IS_FULL, reason="figures take seconds")
def test_what_users_write_is_text_in_every_file(
    damaged: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, _ = damaged
    assert typed("report", where, monkeypatch).code == 0
    folder = where / "outputs/reports/all"
    page, md, tex, table = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("index.html", "report.md", "report.tex", "runs.csv")
    )
    assert "<script>" not in page
    assert "<script" not in md
    assert r"\input{" not in tex
    assert "\x1b" not in page + md + tex + table


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_records_are_named_and_hide_no_other(
    command: str, damaged: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, names = damaged
    answer = typed(command, where, monkeypatch)
    # A run whose measurements cannot be set aside fails, and the others do not.
    assert answer.code == (command == "evaluate"), answer.err[-1000:]
    assert "Traceback" not in answer.err
    assert command != "evaluate" or answer.out.count("50.0") >= 12
    said = set(answer.err.splitlines())
    unnamed = [
        what
        for name, what in names.items()
        if (command in OF_THE_LENS or not what.startswith("lens.json"))
        and not any(name in line for line in said)
    ]
    assert unnamed == []
    for text in (answer.out, answer.err):
        assert text.replace("\n", "").isprintable()
    print(f"{command}: {len(names)} wrong records")


def test_the_good_runs_are_shown(damaged: tuple[Path, dict[str, str]]) -> None:
    answer = normexp(damaged[0], "runs", "norm=instance")
    assert "50.0" in answer.out
    assert answer.out.count("finished") == 2
