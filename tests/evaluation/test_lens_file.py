from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from normexp.errors import UserError
from normexp.evaluation import lens_file
from normexp.runs.files import DamagedFileError
from normexp.runs.folder import RunFolder
from normexp.runs.record import LensRecord
from normexp.runs.result import Environment
from normexp.settings import EVALUATE, checked

SETTINGS: dict[str, Any] = {
    "run": None,
    "study": None,
    "trust": False,
    "seed": 0,
    "images": 10,
    "contrast": {"batch_size": 4, "curve": [0.5, 1], "per_image": [], "gain": [2], "gamma": [2]},
    "statistics": {
        "batch_sizes": [1],
        "alphas": [0.5],
        "precise_batch_sizes": [],
        "precise_images": 10,
    },
    "noise": {"batch_sizes": [2], "images": 1, "draws": 4},
    "cost": {"steps": 1},
    "runtime": {"outputs": "outputs", "device": "cpu", "threads": 1, "jobs": 1},
}
ASKED = {"common": {"seed": 0}, "contrast": {"curve": [0.5]}, "cost": {"steps": 1}, "weights": "a"}
ROWS = ({"axis": "contrast", "level": 0.5, "batch_size": None}, {"axis": "cost", "parameters": 7})
RECORD = LensRecord(
    settings=ASKED,
    environment=Environment("0", "3", "2", "cpu", "any", 1, "fp32", "none"),
    rows=ROWS,
    seconds={"cost": 0.5},
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lens_file.write(folder, RECORD)
    assert folder.lens() == RECORD
    with folder.lens_table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"axis": "contrast", "level": "0.5", "batch_size": "", "parameters": ""}
    assert rows[1]["parameters"] == "7"


def test_a_damaged_file_is_set_aside_once_the_folder_is_mended(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lens_file.write(folder, RECORD)
    folder.lens_file.write_text(folder.lens_file.read_text().replace("0.5", "0.6"))
    with pytest.raises(DamagedFileError, match=r"lens\.json"):
        folder.lens()
    (line,) = folder.mend()
    assert "lens.json.damaged" in line
    assert folder.lens() is None


def test_rows_are_good_as_long_as_the_same_is_asked_of_the_same_weights() -> None:
    assert lens_file.still_good(RECORD, ASKED) == {"contrast": [ROWS[0]], "cost": [ROWS[1]]}
    assert lens_file.still_good(None, ASKED) == {}
    others: dict[str, Any] = {"contrast": {"curve": [0.4]}}
    assert lens_file.still_good(RECORD, {**ASKED, **others}) == {"cost": [ROWS[1]]}
    assert lens_file.still_good(RECORD, {**ASKED, "weights": "b"}) == {}
    assert lens_file.still_good(replace(RECORD, settings={}), ASKED) == {}
    assert lens_file.still_good(RECORD, {**ASKED, "common": {"seed": 1}}) == {}


def test_accuracies_of_an_unknown_number_of_images_are_measured_again() -> None:
    row = {"axis": "contrast", "accuracy": 0.5}
    old, new = (replace(RECORD, rows=(each, ROWS[1])) for each in (row, {**row, "images": 9}))
    assert set(lens_file.still_good(old, ASKED)) == {"cost"}
    assert set(lens_file.still_good(new, ASKED)) == {"cost", "contrast"}


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("", "seed", -1),
        ("", "images", 0),
        ("", "images", 1.5),
        ("", "images", None),
        ("contrast", "batch_size", "many"),
        ("contrast", "curve", 0.5),
        ("contrast", "curve", [0.5, -0.1]),
        ("contrast", "gamma", [float("nan")]),
        ("statistics", "batch_sizes", [0]),
        ("statistics", "batch_sizes", [True]),
        ("statistics", "alphas", [1.1]),
        ("noise", "draws", 1),
        ("noise", "draws", [64]),
        ("cost", "steps", 0),
    ],
)
def test_a_bad_setting_is_refused_with_its_key_and_its_value(
    group: str, key: str, value: Any
) -> None:
    settings = {**SETTINGS, **({group: {**SETTINGS[group], key: value}} if group else {key: value})}
    checked(SETTINGS, EVALUATE)
    with pytest.raises(UserError) as caught:
        checked(settings, EVALUATE)
    message = str(caught.value)
    shown = {"None": "null", "[True]": "[true]", "[0.5, -0.1]": "[0.5,-0.1]"}
    typed = shown.get(str(value), value)
    assert message.startswith(f"{group}{'.' * bool(group)}{key}={typed}: ")
    assert " is needed" in message
