"""What users write stays text, whatever a program that shows it makes of it."""

from __future__ import annotations

import csv
import io

import pytest

from normexp.runs.text import aligned, csv_text, markdown_table


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column() -> None:
    rows = [["name", "first", "second"], ["a", "1", "2"]]
    assert aligned(rows, 12) == "name  first\na     1\n\nname  second\na     2"
    assert aligned(rows, 19) == aligned(rows)
    assert aligned(rows, 3).count("name") == 2  # no table is without a column


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "=HYPERLINK(1)", "\t=1", "\r=1"]
)
def test_a_spreadsheet_calculates_no_text(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text([{"name": text}])))
    assert row["name"][0] not in "=+-@\t\r"


@pytest.mark.parametrize("number", [-0.5, 3, "-0.5", "+1e-3", "-12", None, "1.5"])
def test_numbers_stay_numbers(number: object) -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text([{"value": number, "beside": 1}])))
    assert row["value"] == ("" if number is None else str(number))


def test_the_name_of_a_column_is_calculated_as_little() -> None:
    assert csv_text([{"=a": 1}]) == "'=a\n1\n"


def test_a_table_in_markdown_has_no_html_no_link_and_as_many_cells() -> None:
    table = markdown_table(["name"], [["a|b<script>[x](http://y)\n| c |\x1b[2J"]])
    *_, row = table.splitlines()
    assert len(table.splitlines()) == 3
    assert row.replace(r"\|", "").count("|") == 2
    assert "<script" not in row
    assert "](" not in row.replace("\\](", "")
    assert "\x1b" not in row


def test_intervals_and_comparisons_stay_as_they_are() -> None:
    assert "0.5 [0.1, 0.9], p <0.001" in markdown_table(["p"], [["0.5 [0.1, 0.9], p <0.001"]])


def test_a_terminal_obeys_no_cell() -> None:
    assert aligned([["a\x1b[2J", "b"], ["c", "d\x9b\u202e"]]).replace("\n", "").isprintable()
