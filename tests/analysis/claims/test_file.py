"""A claim's file: what it says, and what is told where it says something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.made import leave_lens, make_run, row

from normexp.analysis.claims.claim import Measure
from normexp.analysis.claims.file import read_claim
from normexp.analysis.rows import rows
from normexp.errors import UserError

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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("test.accuracy", 0.6),
        ("test.contrast.5", 0.3),
        ("history.0.val_accuracy", 0.2),
        ("history.-1.val_accuracy", 0.6),
        ("history.*.val_accuracy", 0.4),
        ("history.7.val_accuracy", None),
        ("test.f1", None),
        ("test", None),
    ],
)
def test_a_measure_is_a_path_in_the_result(value: str, expected: float | None) -> None:
    assert Measure("m", value, 0)(row(0.6)) == pytest.approx(expected)


def test_a_run_that_diverged_counts_as_the_measure_says() -> None:
    assert Measure("m", "test.accuracy", 0, diverged=0.1)(row("diverged")) == 0.1
    assert Measure("m", "test.accuracy", 0)(row("diverged")) is None
    assert Measure("m", "test.accuracy", 0, diverged=0.1)(row("unfinished")) is None


def test_a_measure_of_the_lens_is_in_the_one_row_that_fits(tmp_path: Path) -> None:
    folder = make_run(tmp_path, 0.6)
    other = make_run(tmp_path, 0.6, seed=1)
    sizes = {2: 3.0, 8: 1.5}
    leave_lens(folder, *({"axis": "noise", "batch_size": b, "spread": s} for b, s in sizes.items()))
    seen, unseen = rows(tmp_path)
    assert (seen.path, unseen.path) == (folder.path, other.path)
    of = {"axis": "noise", "batch_size": 8}
    assert Measure("m", "spread", 0, lens=of)(seen) == 1.5
    assert Measure("m", "spread", 0, lens={"axis": "cost"})(seen) is None
    assert Measure("m", "spread", 0, lens=of)(unseen) is None
    with pytest.raises(UserError, match=r"2 rows of .* fit axis=noise; the measure 'm' must name"):
        Measure("m", "spread", 0, lens={"axis": "noise"})(seen)
