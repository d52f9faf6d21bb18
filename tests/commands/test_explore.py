"""`normexp explore` as it is typed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.made import make_study
from helpers.ship import rows_of, ship
from helpers.typed import normexp


@pytest.fixture(autouse=True)
def _shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(tmp_path / "theirs", ["batch", "group"], [4], 3, lambda *_: 0.5, "small")
    ship(monkeypatch, tmp_path / "ship.xz", rows_of(tmp_path / "theirs"))


def data_of(page: Path) -> Any:
    (held,) = re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(held)


def test_without_runs_it_shows_those_that_ship(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "explore")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1:] == ["6 runs", "outputs/explore.html"]
    data = data_of(tmp_path / "outputs" / "explore.html")
    assert [*data["sources"]] == ["reference"]
    assert [each["study"] for each in data["sets"]] == ["small"]


def test_ones_own_runs_are_shown_alone_or_beside_those_that_ship(tmp_path: Path) -> None:
    make_study(tmp_path / "outputs", ["batch", "both"], [8], 3, lambda *_: 0.6, "mine")
    for typed, sources in (
        ((), ["yours"]),
        (("study=reference",), ["reference"]),
        (("beside=true",), ["yours", "reference"]),
        (("beside=true", "study=mine", "margin=2"), ["yours", "reference"]),
    ):
        assert normexp(tmp_path, "explore", *typed).code == 0
        data = data_of(tmp_path / "outputs" / "explore.html")
        assert [*data["sources"]] == sources
    assert data["margin"] == 2
    assert (tmp_path / "outputs" / "looks.json").exists()  # seeds added now are sequential


def test_of_a_study_that_is_named_no_other_is_shown(tmp_path: Path) -> None:
    make_study(tmp_path / "outputs", ["batch", "both"], [8], 3, lambda *_: 0.6, "mine")
    make_study(tmp_path / "outputs", ["batch"], [8], 3, lambda *_: 0.6, "other")  # runs of both
    assert normexp(tmp_path, "explore", "study=mine").code == 0
    data = data_of(tmp_path / "outputs" / "explore.html")
    assert [each["study"] for each in data["sets"]] == ["mine"]


def test_a_study_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    make_study(tmp_path / "outputs", ["batch"], [8], 1, lambda *_: 0.6, "mine")
    answer = normexp(tmp_path, "explore", "study=mien")
    assert answer.code == 1
    assert "did you mean mine?" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert normexp(tmp_path, "explore", "beside=perhaps").code == 1
