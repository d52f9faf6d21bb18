"""A claim's file: what it says, and what is told where it says something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import log10
from pathlib import Path
from typing import Any

import pytest
from helpers.made import leave_lens, made, make_run
from helpers.rows import runs

from normexp.analysis.claims.claim import Measure
from normexp.analysis.claims.planned import planned
from normexp.analysis.claims.read import read_claim
from normexp.analysis.claims.side import Side
from normexp.errors import UserError

FILE: dict[str, Any] = {
    "claim": "Instance norm beats batch norm",
    "prior": "open",
    "how": "by test accuracy",
    "date": "2026-11-25",
    "exploration_seeds": [1000],
    "confirmation_seeds": [0, 1, 2],
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


BROKEN: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "no claim": (lambda f: f.pop("claim"), "claim", "is missing"),
    "typo": (lambda f: f.update(clam="x"), "clam", "did you mean claim?"),
    "no source": (lambda f: f.pop("study"), "", "a study or a measurement"),
    "no date": (lambda f: f.pop("date"), "date", "needed of what is trained"),
    "no kind": (lambda f: f.update(kind="algebra"), "kind=algebra", "a study is of trained"),
    "judged by its exploration": (
        lambda f: f.update(confirmation_seeds=[0, 1000]),
        "confirmation_seeds",
        "1000 is an exploration seed too",
    ),
    "no margin": (lambda f: f["measures"]["accuracy"].pop("margin"), "accuracy.margin", "missing"),
    "margin": (
        lambda f: f["measures"]["accuracy"].update(margin=-1),
        "measures.accuracy.margin",
        "a number of 0 or more is needed, not -1",
    ),
    "margin in words": (
        lambda f: f["measures"]["accuracy"].update(margin="1 %"),
        "measures.accuracy.margin",
        "a number is needed, not '1 %'",
    ),
    "measure": (
        lambda f: f["measures"].update(accuracy=3),
        "measures.accuracy",
        "keys and values are needed, not 3",
    ),
    "no measures": (lambda f: f.update(measures=[]), "measures", "keys and values"),
    "no comparisons": (lambda f: f.update(comparisons={}), "comparisons", "one or more"),
    "side": (lambda f: one(f).pop("second"), "comparisons.one.second", "is missing"),
    "side in words": (
        lambda f: one(f).update(first="instance"),
        "comparisons.one.first",
        "keys and values are needed, not 'instance'",
    ),
    "other side in words": (
        lambda f: one(f).update(second="batch"),
        "comparisons.one.second",
        "settings or a number are needed, not batch",
    ),
    "expect": (
        lambda f: one(f).update(expect="better"),
        "comparisons.one.expect",
        "more, less, same is needed, not better",
    ),
    "unnamed measure": (
        lambda f: f["measures"].update(loss={"value": "test.loss", "margin": 0.1}),
        "comparisons.one",
        "none of accuracy, loss",
    ),
    "unknown measure": (
        lambda f: one(f)["first"].update(measure="f1"),
        "comparisons.one",
        "measure=f1 is none of accuracy",
    ),
    "measurement": (
        lambda f: f.update(measurement={"of": {}, "seeds": 1, "settings": {}}),
        "measurement.batches",
        "is missing",
    ),
    "seeds": (
        lambda f: f.update(measurement={"of": {}, "batches": 1, "seeds": 0, "settings": {}}),
        "measurement.seeds",
        "a whole number of 1 or more is needed, not 0",
    ),
    "half a seed": (
        lambda f: f.update(measurement={"of": {}, "batches": 1, "seeds": 0.5, "settings": {}}),
        "measurement.seeds",
        "a whole number is needed, not 0.5",
    ),
    "nothing": (lambda f: f.clear(), "claim", "is missing"),
}


@pytest.mark.parametrize(("change", "key", "need"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_in_one_line_with_file_key_and_what_is_needed(
    change: Callable[[Any], object], key: str, need: str
) -> None:
    with pytest.raises(UserError) as error:
        read_claim("mine", changed(change))
    line = str(error.value)
    assert line.startswith("claims/mine.yaml: ")
    assert key in line
    assert need in line
    assert "\n" not in line


def test_a_file_that_is_a_list_is_told() -> None:
    with pytest.raises(UserError, match=r"claims/mine\.yaml: keys and values are needed"):
        read_claim("mine", [1])


def test_lists_make_a_comparison_for_each_combination() -> None:
    file = changed(
        lambda f: one(f).update(
            first={"norm": ["both", "split"]}, across={"batch_size": [2, 8, 128]}
        )
    )
    found = planned(read_claim("c", file))
    assert [dict(each.factors) for each in found] == [
        {"norm": norm, "batch_size": b} for norm in ("both", "split") for b in (2, 8, 128)
    ]
    assert found[4].first.selection == {"measure": "accuracy", "batch_size": 8, "norm": "split"}
    assert isinstance(found[4].second, Side)
    assert found[4].second.selection == {"measure": "accuracy", "batch_size": 8, "norm": "batch"}


def test_a_list_of_either_side_is_told_apart() -> None:
    file = changed(lambda f: one(f).update(first={"norm": ["a", "b"]}, second={"norm": ["c", "d"]}))
    factors = [dict(each.factors) for each in planned(read_claim("c", file))]
    assert factors[1] == {"norm": "a", "against norm": "d"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("test.accuracy", 0.6),
        ("test.contrast.5", 0.3),
        ("history.0.val_accuracy", 0.2),
        ("history.-1.val_accuracy", 0.6),
        ("history.*.val_accuracy", 0.4),
        ("history.50%.val_accuracy", 0.4),  # the second of three epochs
        ("history.100%.val_accuracy", 0.6),
        ("history.7.val_accuracy", None),
        ("test.f1", None),
        ("test", None),
    ],
)
def test_a_measure_is_a_path_in_the_result(value: str, expected: float | None) -> None:
    assert Measure(value, 0)(made(0.6)) == pytest.approx(expected)


def test_a_run_that_diverged_has_no_measure_of_its_own() -> None:
    assert Measure("test.accuracy", 0, accuracy=True)(made("diverged")) is None
    assert Measure("test.accuracy", 0)(made("unfinished")) is None


def test_a_measure_may_be_less_another_a_logarithm_or_at_a_training_loss() -> None:
    run = made(0.6)  # training losses 2, 1 and 2/3; validation accuracies 0.2, 0.4 and 0.6
    assert Measure("history.-1.train_accuracy", 0, less="test.accuracy")(run) == pytest.approx(0.02)
    assert Measure("history.0.train_loss", 0, log10=True)(run) == pytest.approx(log10(2))
    assert Measure("val_accuracy", 0, at_train_loss=1.5)(run) == pytest.approx(0.3)
    assert Measure("val_accuracy", 0, at_train_loss=0.5)(run) is None


def test_a_measure_of_the_lens_is_in_the_one_row_that_fits(tmp_path: Path) -> None:
    folder = make_run(tmp_path, 0.6)
    other = make_run(tmp_path, 0.6, seed=1)
    sizes = {2: 3.0, 8: 1.5}
    leave_lens(folder, *({"axis": "noise", "batch_size": b, "spread": s} for b, s in sizes.items()))
    seen, unseen = runs(tmp_path)
    assert (seen.path, unseen.path) == (folder.path, other.path)
    of = {"axis": "noise", "batch_size": 8}
    assert Measure("spread", 0, lens=of)(seen) == 1.5
    assert Measure("spread", 0, lens={"axis": "cost"})(seen) is None
    assert Measure("spread", 0, lens=of)(unseen) is None
    with pytest.raises(UserError, match=r"2 rows .* axis=noise; .*spread"):
        Measure("spread", 0, lens={"axis": "noise"})(seen)
