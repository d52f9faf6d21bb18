"""Records come back as they were written, or say why they cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.results import ENVIRONMENT, result, sealed

from normexp.runs.files import DamagedFileError, read_record, write_record
from normexp.runs.folder import RunFolder
from normexp.runs.record import (
    Failure,
    LensRecord,
    Measurement,
    Measurements,
    RunRecord,
    from_json,
    to_json,
)
from normexp.runs.result import ChannelValues, RunResult
from normexp.runs.runtime import Design
from normexp.runs.spec import RunSpec
from normexp.runs.tested import ByGain

Specs = Callable[..., RunSpec]


def changed(record: object, *keys: str | int, to: object) -> str:
    """A record as text with the value behind `keys` replaced, its checksum right."""
    plain = json.loads(to_json(record))
    inner = plain
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return sealed(plain)


def test_every_kind_of_record_comes_back_equal(tmp_path: Path) -> None:
    whole = result()
    assert whole.test is not None
    unequal = replace(
        whole.test, by_gain=ByGain((0.1, 0.2), (1.0, 2.0)), without_channel={"red": 0.5}
    )
    channels = {"norm.weight": ChannelValues(1.0, 0.1, 0.9, 1.1)}
    for record in (
        whole,
        replace(whole, test=unequal, layers=channels, readings={"gate/norm": 0.5}),
        replace(whole, outcome="diverged", test=None, history=()),
        Failure("a full disk: ärger"),
        LensRecord({"seed": 0}, ENVIRONMENT, ({"axis": "cost", "level": None},), {"cost": 1.0}),
        Measurements("c01", "normexp claims", (Measurement({"norm": "batch"}, 3, {"r2": 1.0}),)),
    ):
        write_record(tmp_path / "record.json", record)
        assert read_record(tmp_path / "record.json", type(record)) == record


def test_what_was_asked_comes_back_with_every_setting(spec_of: Specs) -> None:
    spec = spec_of("data=generated", "norm=split", "model=resnet20", "optimizer=muon")
    record = RunRecord(spec, "normexp train norm=split", ("one", "two"), Design.SEQUENTIAL)
    again = from_json(RunRecord, to_json(record))
    assert again == record
    assert again.spec.name == spec.name


def test_a_whole_number_stands_for_a_float_and_comes_back_as_one() -> None:
    again = from_json(RunResult, changed(result(), "timing", "seconds", to=3))
    assert type(again.timing.seconds) is float


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("steps",), "4", ".steps: a whole number is needed, not '4'"),
        (("steps",), True, ".steps: a whole number is needed, not True"),
        (("test", "accuracy"), None, ".test.accuracy: a number is needed, not None"),
        (("test", "contrast", "3"), "0.5", ".test.contrast.3: a number is needed, not '0.5'"),
        (("test",), [], ".test: keys and values are needed, not []"),
        (("outcome",), "ended", ".outcome: one of finished, diverged is needed, not 'ended'"),
        (("history", 0, "val_loss"), "low", ".history[].val_loss: a number is needed, not 'low'"),
        (("classes",), "cat", ".classes: a list is needed, not 'cat'"),
        (("environment", "threads"), 1.5, ".environment.threads: a whole number is needed"),
        (("new_key",), 1, ".new_key is not known"),
    ],
)
def test_a_value_of_another_type_is_named_by_its_dotted_key(
    keys: tuple[str | int, ...], value: object, named: str, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text(changed(result(), *keys, to=value))
    with pytest.raises(DamagedFileError) as caught:
        RunFolder(tmp_path).result()
    assert str(tmp_path / "result.json") in str(caught.value)
    assert named in str(caught.value)


def test_a_value_that_is_missing_is_named() -> None:
    plain = json.loads(to_json(result()))
    del plain["environment"]["torch"]
    with pytest.raises(ValueError, match=r"\.environment\.torch is missing"):
        from_json(RunResult, sealed(plain))


def test_a_setting_out_of_range_in_a_record_is_named(spec_of: Specs) -> None:
    record = RunRecord(spec_of("data=generated"), "normexp train")
    with pytest.raises(ValueError, match=r"batch_size=0: a whole number of 1 or more is needed"):
        from_json(RunRecord, changed(record, "settings", "batch_size", to=0))


def test_a_record_without_a_design_was_planned_and_another_word_is_named(spec_of: Specs) -> None:
    record = RunRecord(spec_of("data=generated"), "normexp train", design=Design.SEQUENTIAL)
    plain = json.loads(to_json(record))
    del plain["design"]
    assert from_json(RunRecord, sealed(plain)).design is Design.PLANNED
    with pytest.raises(ValueError, match="'guessed' is not a valid Design"):
        from_json(RunRecord, changed(record, "design", to="guessed"))


def test_a_record_of_a_later_format_asks_for_the_version_that_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(changed(result(), "format", to=2))
    with pytest.raises(DamagedFileError, match=r"result\.json has the format 2 of a later normexp"):
        RunFolder(tmp_path).result()


def test_one_changed_digit_of_a_record_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_record(file, result(0.842))
    file.write_text(file.read_text().replace("0.842", "0.942"))
    with pytest.raises(DamagedFileError, match=r"result\.json is damaged"):
        read_record(file, RunResult)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"checksum": 1}', "\x00", "[" * 10**5]
)
def test_something_else_than_a_record_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DamagedFileError):
        RunFolder(tmp_path).record()


def test_a_damaged_result_is_set_aside_by_mending_and_not_by_reading(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    folder = RunFolder(tmp_path)
    with pytest.raises(DamagedFileError):
        folder.result()
    assert not folder.is_finished()
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    (line,) = folder.mend()
    assert "result.json is damaged" in line
    assert [file.name for file in tmp_path.iterdir()] == ["result.json.damaged"]
