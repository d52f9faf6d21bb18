"""A claim's file: what it says, and what is told where it says something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from normexp.errors import UserError
from normexp.report.claim_file import read_claim
from normexp.report.claims import Measure
from normexp.report.runs import Row

FILE: dict[str, Any] = {
    "claim": "Instance norm beats batch norm",
    "prior": "open",
    "how": "by test accuracy",
    "study": "small",
    "measures": {"accuracy": {"value": "test.accuracy", "margin": 0.01}},
    "comparisons": {
        "one": {"first": {"norm": "instance"}, "second": {"norm": "batch"}, "expect": "more"}
    },
}


def changed(change: Callable[[Any], object]) -> Any:
    file = copy.deepcopy(FILE)
    change(file)
    return file


def row(result: dict[str, Any] | None, state: str = "finished", path: Path = Path()) -> Row:
    return Row("a", path, {"seed": 0}, state, None, result, (), "")


def one(file: Any) -> Any:
    return file["comparisons"]["one"]


BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "no claim": (lambda f: f.pop("claim"), "'claim' is not given"),
    "typo": (lambda f: f.update(clam="x"), "there is no 'clam'; did you mean claim?"),
    "no source": (lambda f: f.pop("study"), "a study or a measurement is needed"),
    "no margin": (lambda f: f["measures"]["accuracy"].pop("margin"), "accuracy.margin' is not"),
    "margin": (
        lambda f: f["measures"]["accuracy"].update(margin=-1),
        "measures.accuracy.margin=-1: a number of 0 or more is needed",
    ),
    "margin in words": (
        lambda f: f["measures"]["accuracy"].update(margin="1 %"),
        "measures.accuracy.margin=1 %: a number is needed",
    ),
    "measure": (lambda f: f["measures"].update(accuracy=3), "measures.accuracy: keys and values"),
    "no measures": (lambda f: f.update(measures=[]), "measures=[]: keys and values are needed"),
    "no comparisons": (lambda f: f.update(comparisons={}), "comparisons: one or more are needed"),
    "side": (lambda f: one(f).pop("second"), "'comparisons.one.second' is not given"),
    "side in words": (lambda f: one(f).update(first="instance"), "first=instance: keys and values"),
    "expect": (lambda f: one(f).update(expect="better"), "expect=better: of more, less, same"),
    "unnamed measure": (
        lambda f: f["measures"].update(loss={"value": "test.loss", "margin": 0.1}),
        "comparisons.one: measure=None is none of accuracy, loss",
    ),
    "unknown measure": (
        lambda f: one(f)["first"].update(measure="f1"),
        "comparisons.one: measure=f1 is none of accuracy",
    ),
    "measurement": (lambda f: f.update(measurement={"of": {}}), "'measurement.batches' is not"),
    "seeds": (
        lambda f: f.update(measurement={"of": {}, "batches": 1, "seeds": 0.5, "settings": {}}),
        "measurement.seeds=0.5: a whole number of 1 or more is needed",
    ),
    "nothing": (lambda f: f.clear(), "'claim' is not given"),
}


@pytest.mark.parametrize(("change", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_in_one_line(change: Callable[[Any], object], told: str) -> None:
    with pytest.raises(UserError) as error:
        read_claim("mine", changed(change))
    assert str(error.value).startswith("claims/mine.yaml: ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_a_list_is_told() -> None:
    with pytest.raises(UserError, match=r"claims/mine\.yaml: the file: keys and values are needed"):
        read_claim("mine", [1])


def test_lists_make_a_comparison_for_each_combination() -> None:
    file = changed(
        lambda f: one(f).update(
            first={"norm": ["both", "split"]}, across={"batch_size": [2, 8, 128]}
        )
    )
    comparisons = read_claim("c", file).comparisons
    assert [dict(c.factors) for c in comparisons] == [
        {"norm": norm, "batch_size": b} for norm in ("both", "split") for b in (2, 8, 128)
    ]
    assert comparisons[4].first == {"measure": "accuracy", "batch_size": 8, "norm": "split"}
    assert comparisons[4].second == {"measure": "accuracy", "batch_size": 8, "norm": "batch"}


def test_a_list_of_either_side_is_told_apart() -> None:
    file = changed(lambda f: one(f).update(first={"norm": ["a", "b"]}, second={"norm": ["c", "d"]}))
    factors = [dict(c.factors) for c in read_claim("c", file).comparisons]
    assert factors[1] == {"norm": "a", "against norm": "d"}


RESULT = {
    "test": {"accuracy": 0.5, "contrast": {"5": 0.25}},
    "history": [{"val_accuracy": 0.25}, {"val_accuracy": 0.75}],
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("test.accuracy", 0.5),
        ("test.contrast.5", 0.25),
        ("history.0.val_accuracy", 0.25),
        ("history.-1.val_accuracy", 0.75),
        ("history.*.val_accuracy", 0.5),
        ("history.7.val_accuracy", None),
        ("test.f1", None),
        ("test", None),
    ],
)
def test_a_measure_is_a_path_in_the_result(value: str, expected: float | None) -> None:
    assert Measure("m", value, 0)(row(RESULT)) == expected


def test_a_run_that_diverged_counts_as_the_measure_says() -> None:
    diverged = row({"test": None, "history": []}, "diverged")
    assert Measure("m", "test.accuracy", 0, diverged=0.1)(diverged) == 0.1
    assert Measure("m", "test.accuracy", 0)(diverged) is None
    assert Measure("m", "test.accuracy", 0, diverged=0.1)(row(None, "unfinished")) is None


def test_a_measure_of_the_lens_is_in_the_one_row_that_fits(tmp_path: Path) -> None:
    (tmp_path / "lens.json").write_text(
        '{"rows": [{"axis": "noise", "batch_size": 2, "spread": 3.0},'
        ' {"axis": "noise", "batch_size": 8, "spread": 1.5}]}'
    )
    of = {"axis": "noise", "batch_size": 8}
    assert Measure("m", "spread", 0, lens=of)(row({}, path=tmp_path)) == 1.5
    assert Measure("m", "spread", 0, lens={"axis": "cost"})(row({}, path=tmp_path)) is None
    assert Measure("m", "spread", 0, lens=of)(row({}, path=tmp_path / "none")) is None
    with pytest.raises(UserError, match=r"2 rows of .* fit axis=noise; the measure 'm' must name"):
        Measure("m", "spread", 0, lens={"axis": "noise"})(row({}, path=tmp_path))
