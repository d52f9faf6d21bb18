from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from normexp.evaluation.lens_settings import checked

from normexp.errors import UserError
from normexp.evaluation import lens_file

SETTINGS: dict[str, Any] = {
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
}
ROWS = [{"axis": "contrast", "level": 0.5, "batch_size": None}, {"axis": "cost", "parameters": 7}]


def content(asked: dict[str, Any]) -> dict[str, Any]:
    return {"settings": asked, "environment": {}, "rows": ROWS, "seconds": {}}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    lens_file.write(tmp_path, content(checked(SETTINGS)))
    assert lens_file.read(tmp_path) == content(checked(SETTINGS))
    with (tmp_path / "lens.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"axis": "contrast", "level": "0.5", "batch_size": "", "parameters": ""}
    assert rows[1]["parameters"] == "7"


def test_a_damaged_file_is_set_aside_and_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lens_file.write(tmp_path, content(checked(SETTINGS)))
    path = tmp_path / "lens.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert lens_file.read(tmp_path)["rows"] == []
    assert "is set aside as" in capsys.readouterr().err
    assert not path.exists()


def test_rows_are_good_as_long_as_the_same_is_asked_of_the_same_weights() -> None:
    asked = {**checked(SETTINGS), "weights": "a"}
    kept = lens_file.still_good(content(asked), asked)
    assert kept == {"contrast": [ROWS[0]], "cost": [ROWS[1]]}
    other = {**asked, "contrast": {**asked["contrast"], "curve": [0.4]}}
    assert lens_file.still_good(content(asked), other) == {"cost": [ROWS[1]]}
    assert lens_file.still_good(content(asked), {**asked, "weights": "b"}) == {}
    common = {**asked["common"], "seed": 1}
    assert lens_file.still_good(content(asked), {**asked, "common": common}) == {}


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
def test_a_bad_setting_is_told_with_its_value(group: str, key: str, value: Any) -> None:
    settings = {**SETTINGS, **({group: {**SETTINGS[group], key: value}} if group else {key: value})}
    with pytest.raises(UserError) as told:
        checked(settings)
    assert str(told.value).startswith(f"{group}{'.' * bool(group)}{key}={value}: ")
    assert " is needed" in str(told.value)
