"""What a report says of what was trained."""

from __future__ import annotations

from dataclasses import replace

from helpers.made import made

from normexp.analysis.report.setup import rates_section
from normexp.analysis.rows import Run
from normexp.analysis.setup import setup, unfair_none
from normexp.runs.runtime import Design
from normexp.tuned import Trial, Tuned, key_of


def runs(**rates: float) -> list[Run]:
    """Three seeds of each norm, at its learning rate."""
    return [made(0.5, norm=norm, lr=lr, seed=s) for norm, lr in rates.items() for s in range(3)]


def test_one_learning_rate_for_all_norms_bears_its_warning() -> None:
    assert (
        "one learning rate for all norms" in setup(runs(batch=0.1, instance=0.1))["learning rate"]
    )
    own = setup(runs(batch=0.1, instance=0.4))["learning rate"]
    assert own == "batch 0.1, instance 0.4"


def test_tuned_rates_are_said_to_be_even_where_they_are_equal() -> None:
    rows = runs(batch=0.1, instance=0.1)
    trials = (Trial(0.1, (1000,), (0.5,)),)
    tuned = [Tuned("cell", key_of(run.spec), 0.1, False, trials) for run in rows]
    assert setup(rows, tuned)["learning rate"].startswith("tuned for each norm")


def test_a_table_of_rates_has_each_cell_once_and_tells_it_from_others() -> None:
    rows = [
        made(0.5, norm=norm, model__after=after, seed=seed)
        for norm in ("batch", "instance")
        for after, seeds in (("relu-pool", 3), ("flatten", norm == "batch"))
        for seed in range(seeds)
    ]
    first = [Tuned("of one study", key_of(run.spec), 0.2, False, ()) for run in rows]
    newest = [Tuned("of another", key_of(run.spec), 0.1, False, ()) for run in rows]
    (table,) = rates_section("words", rows, [*first, *newest]).tables
    assert [row[0] for row in table.rows] == [
        "norm=batch",
        "norm=batch model.after=flatten",
        "norm=instance",
    ]
    assert {row[-1] for row in table.rows} == {"0.1"}


def test_a_residual_network_without_a_norm_has_a_fair_form() -> None:
    residual = [replace_model(run) for run in runs(batch=0.1, none=0.1)]
    assert "norm=fixup is the fair one" in unfair_none(residual)
    assert unfair_none([*residual, *map(replace_model, runs(fixup=0.1))]) == ""
    assert unfair_none(runs(batch=0.1, none=0.1)) == ""  # a plain network


def replace_model(run: Run) -> Run:
    model = replace(run.spec.model, name="resnet20")
    return replace(run, spec=replace(run.spec, model=model))


def test_seeds_and_their_design_are_named() -> None:
    rows = runs(batch=0.1)
    assert setup(rows)["seeds"] == "0 to 2, planned"
    rows.append(replace(made(0.5, seed=7), design=Design.SEQUENTIAL))
    assert setup(rows)["seeds"].startswith("0, 1, 2, 7, added after a look")


def test_a_cell_of_different_precisions_has_a_line() -> None:
    first, *others = runs(batch=0.1)
    assert "mixed cells" not in setup([first, *others])
    assert first.result is not None
    other = replace(first.result.environment, precision="bf16", device="cuda")
    rows = [replace(first, result=replace(first.result, environment=other)), *others]
    line = setup(rows)["mixed cells"]
    assert "1 of bf16 on cuda" in line
    assert "2 of fp32 on cpu" in line


def test_drawn_images_are_named_as_such() -> None:
    assert "drawn images" in setup(runs(batch=0.1))["data"]
