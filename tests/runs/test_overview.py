"""The table of runs: what it has, in which order, how wide it is."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.made import command_of, make_run, make_study, result, spec
from helpers.seconds import seconds_of
from helpers.typed import normexp

from normexp.errors import UserError
from normexp.runs.catalogue import catalogue, matching, read_runs
from normexp.runs.folder import RunFolder
from normexp.runs.overview import Overview

LONG: dict[str, Any] = {
    "data__limit": 5000,
    "label_smoothing": 0.1,
    "model__padding_mode": "replicate",
}


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    make_study(
        tmp_path / "outputs", ("batch", "both"), (2, 16, 128), 2, lambda n, b, s: 0.5 + b / 1000
    )
    return tmp_path / "outputs"


def rows_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_runs_of_other_numerics_are_another_cell(tmp_path: Path) -> None:
    make_study(tmp_path / "0.5", ("batch",), (4,), 2, lambda *_: 0.5)
    make_study(tmp_path / "0.8", ("batch",), (4,), 2, lambda *_: 0.8)
    entries = catalogue(tmp_path / "0.5", tmp_path / "0.5")
    older = [
        replace(e, record=replace(e.record, spec=replace(e.record.spec, numerics=1)))
        for e in catalogue(tmp_path / "0.8")
    ]
    found = Overview.of([*entries, *older])
    assert [len(cell) for cell in found.cells] == [2, 2]
    assert "numerics" in found.table(120)


def test_a_cell_that_has_learned_nothing_is_said_to_be_not_above_chance(tmp_path: Path) -> None:
    accuracy = {"none": 0.1, "instance": 0.1, "batch": 0.5}
    make_study(
        tmp_path, ("none", "instance", "batch"), (4,), 2, lambda n, _, s: accuracy[n] + 0.5 * s
    )
    make_study(tmp_path, ("none",), (8,), 2, lambda *_: 0.1)
    lines = Overview.of(catalogue(tmp_path)).table(120).splitlines()
    ends = {tuple(line.split()[:2]): line.split("  ")[-1].strip() for line in lines[1:-1]}
    assert ends[("none", "8")] == "not above chance"
    assert ends[("none", "4")] == "finished, 1 not above chance"
    assert ends[("batch", "4")] == "finished"


def test_a_run_that_diverged_counts_as_chance(tmp_path: Path) -> None:
    make_study(tmp_path, ("batch",), (8,), 6, lambda *at: "diverged" if at[2] else 0.9)
    make_study(tmp_path, ("group",), (8,), 6, lambda *_: 0.8)
    make_study(tmp_path, ("none",), (8,), 2, lambda *_: "diverged")
    rows = Overview.of(catalogue(tmp_path), sort="-accuracy").rows()
    assert [row["norm"] for row in rows] == ["group", "batch", "none"]
    assert rows[1]["accuracy"] == pytest.approx((0.9 + 5 * 0.1) / 6)
    assert rows[1]["accuracy_contrast_5"] == pytest.approx((0.45 + 5 * 0.1) / 6)
    assert rows[2]["accuracy"] == rows[2]["accuracy_contrast_5"] == 0.1


def test_runs_of_a_norm_before_and_after_an_edit_are_rows_with_digest_and_age(
    tmp_path: Path,
) -> None:
    for digest in ("11111111", "22222222"):
        of = replace(spec(norm="custom"), source={"mynorms": digest})
        folder = RunFolder.of(tmp_path, of)
        folder.open(of, command_of(of), None)
        folder.finish(result(of, 0.5))
    heads, *rows, _ = Overview.of(catalogue(tmp_path)).table(80).splitlines()
    assert heads.split("  ")[0] == "mynorms.py"
    assert "age" in heads.split()
    assert [row.split()[0] for row in rows] == ["11111111", "22222222"]


def test_rows_are_in_the_order_of_numbers_and_constants_stand_below(outputs: Path) -> None:
    head, *rows, last = rows_of(Overview.of(catalogue(outputs)).table(80))
    assert head[:3] == ["norm", "batch_size", "seeds"]
    expected = [[norm, size, "2"] for norm in ("batch", "both") for size in ("2", "16", "128")]
    assert [row[:3] for row in rows] == expected
    assert last == ["all:", "model=cnn", "contrast=none"]


@pytest.mark.parametrize(
    ("sort", "first"), [("accuracy", "2"), ("-accuracy", "128"), ("-batch_size", "128")]
)
def test_a_column_sorts_the_rows(sort: str, first: str, outputs: Path) -> None:
    _, row, *_ = rows_of(Overview.of(catalogue(outputs), sort=sort).table(80))
    assert row[1] == first


@pytest.mark.parametrize("sort", ["accuracy", "-accuracy"])
def test_rows_without_what_is_sorted_by_stand_last(sort: str, tmp_path: Path) -> None:
    for norm, found in (("batch", "failed"), ("both", 0.6), ("instance", 0.7)):
        make_run(tmp_path, found, norm=norm)
    *_, row, _ = rows_of(Overview.of(catalogue(tmp_path), sort=sort).table(80))
    assert row[0] == "batch"


def test_a_column_that_is_none_is_told(outputs: Path) -> None:
    for keys, sort in ((["nrom"], ""), ([], "nrom")):
        with pytest.raises(UserError, match=r"nrom: .*did you mean norm\?"):
            Overview.of(catalogue(outputs), keys, sort)


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [
        ("4..32", {16}),
        ("16..", {16, 128}),
        ("..16", {2, 16}),
        ("2,128", {2, 128}),
        ("16", {16}),
        ("1e1..2e1", {16}),
        ("1.5..1.6e+1", {2, 16}),
        ("2, 128", {2, 128}),
        ("1.2.3..4", set()),
        ("16.0", {16}),
        ("2e0, 1.6e1", {2, 16}),
        ("sixteen", set()),
    ],
)
def test_a_filter_is_a_value_several_or_a_range(
    wanted: str, sizes: set[int], outputs: Path
) -> None:
    found = matching(catalogue(outputs), {"batch_size": wanted})
    assert {entry.factors["batch_size"] for entry in found} == sizes


def test_a_filter_compares_numbers_as_numbers_and_true_as_a_word(tmp_path: Path) -> None:
    entries = [catalogue(make_run(tmp_path, 0.5, lr=0.1).path.parents[1])[0]]
    assert matching(entries, {"optimizer.lr": "1e-1"}) == entries
    assert matching(entries, {"optimizer.lr": "0.10,5"}) == entries
    assert matching(entries, {"data.flip": "true"}) == entries
    assert matching(entries, {"data.flip": "1"}) == []


def test_of_different_runs_in_folders_of_one_name_the_one_left_out_is_named(
    tmp_path: Path,
) -> None:
    first, second = (make_run(tmp_path / str(lr), 0.5, lr=lr) for lr in (0.1, 0.2))
    other = second.path.rename(second.path.with_name(first.name))
    found = read_runs(tmp_path / "0.1", tmp_path / "0.2")
    assert [entry.folder for entry in found.entries] == [first]
    (line,) = found.left_out
    assert line == (
        f"left out: {other} is another run than {first.path}; rename one of the two folders"
    )
    other.rename(other.with_name("renamed"))
    assert len(read_runs(tmp_path / "0.1", tmp_path / "0.2").entries) == 2


def test_the_table_fits_the_width_and_says_what_is_left_out(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    for changes in ({}, LONG, {**LONG, "norm": "instance", "steps": 300, "contrast": "jitter"}):
        make_run(outputs, 0.5, **changes)
    overview = Overview.of(catalogue(outputs))
    wide, narrow = overview.table(500), overview.table(80)
    table, _, rest = narrow.partition("\nall:")
    assert max(map(len, wide.splitlines())) > 80 >= max(map(len, table.splitlines()))
    assert "label_smoothing" in wide.splitlines()[0]
    assert "data.limit" in rest or "data.limit" in table


def test_what_tells_rows_apart_is_kept_longer_than_what_was_found_beside(tmp_path: Path) -> None:
    long = {"norm": "instance_not_stem", "data__limit": 50_000}
    for changes in ({"batch_size": 2}, {"batch_size": 16}, {**long, "seed": 1}):
        make_run(tmp_path, 0.1, **changes)
    overview = Overview.of(catalogue(tmp_path))
    head = overview.table(70).splitlines()[0]
    assert "batch_size" in head
    assert "limit" in head
    assert "age" not in head
    assert "age" in overview.table(500).splitlines()[0]
    assert "left out, for want of room: age, at contrast 5;" in overview.table(70)


def with_source(outputs: Path, digest: str, **changes: Any) -> None:
    """Leave a run with a norm of the user's own, whose file has this digest."""
    of = replace(spec(norm="custom", **changes), source={"mynets": digest})
    folder = RunFolder(outputs / "runs" / of.name)
    folder.open(of, "normexp train", None)
    folder.finish(result(of, 0.5))


def test_the_file_of_ones_own_part_is_a_column_where_it_alone_tells_rows_apart(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, 0.5)
    with_source(tmp_path, "2fce44f0")
    assert "mynets" not in Overview.of(catalogue(tmp_path)).table(500)
    with_source(tmp_path, "11111111")
    head, *rows = rows_of(Overview.of(catalogue(tmp_path)).table(500))
    assert head[:2] == ["norm", "mynets.py"]
    assert {row[1] for row in rows if row[0] == "custom"} == {"2fce44f0", "11111111"}


def test_other_programs_read_numbers(outputs: Path) -> None:
    answer = normexp(outputs.parent, "runs", "norm=both", "format=json")
    rows = json.loads(answer.out)
    assert [row["batch_size"] for row in rows] == [2, 16, 128]
    assert rows[0]["accuracy"] == pytest.approx(0.502)
    answer = normexp(outputs.parent, "runs", "norm=both", "format=csv", "columns=batch_size")
    (first, *_) = csv.DictReader(io.StringIO(answer.out))
    assert (first["batch_size"], first["seeds"], first["state"]) == ("2", "2", "finished")
    assert normexp(outputs.parent, "runs", "format=xml").code == 1


@pytest.mark.slow
def test_a_thousand_runs_are_listed_in_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study(tmp_path / "outputs", ("batch", "both"), range(1, 26), 20, lambda n, b, s: 0.5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    # Of three, as a machine that others use counts their waiting for memory as well.
    listed = [seconds_of(sys.executable, "-m", "normexp", "runs") for _ in range(3)]
    assert min(listed) < 1.5
