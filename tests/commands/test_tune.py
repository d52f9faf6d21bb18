"""`normexp tune` gives every cell the same trials, and `optimizer.lr=tuned` takes what it chose."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import made
from helpers.typed import SMALL, normexp
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from hydra_plugins.normexp_launcher.launcher import ProcessLauncher
from normexp import build
from normexp.commands.tune import tune
from normexp.errors import UserError
from normexp.runs.catalogue import catalogue
from normexp.runs.spec import RunSpec
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended
from normexp.tuned import (
    Tuned,
    TunedFile,
    add_to_file,
    file_of,
    key_of,
    read_tuned,
    tuned_cells,
    tuned_rate,
)

Specs = Callable[..., RunSpec]
Found = Callable[[str, float, int], made.Found]
Trials = dict[str, list[tuple[float, int]]]


class StandIn(ProcessLauncher):
    """Takes no time, and finds what it is said to find on validation images."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.trained: Trials = {}

    def carry_out(self, cells: Sequence[Cell]) -> dict[str, Ended]:
        ends = {}
        for cell in cells:
            if not cell.is_finished:
                spec = cell.spec
                tried = (spec.optimizer.lr, spec.seed)
                value = self.found(spec.norm.name, *tried)
                if value == "left out":
                    ends[cell.label] = Ended(value, "it cannot work")
                    continue
                self.trained.setdefault(spec.norm.name, []).append(tried)
                cell.open(None)
                cell.folder.finish(
                    made.result(spec, value)
                    if isinstance(value, str)
                    else made.result(spec, 0.5, validation=value)
                )
        return ends


@pytest.fixture
def setup() -> Iterator[Mapping[str, object]]:
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield {
            "hydra_context": SimpleNamespace(config_loader=loader),
            "task_function": None,
            "config": loader.load_configuration("train", [], RunMode.MULTIRUN),
        }


def tuned_by(
    setup: Mapping[str, object], found: Found, outputs: Path, *norms: str, more: Sequence[str] = ()
) -> Trials:
    """Tune and return what was trained: rate and seed, by norm."""
    launcher = StandIn(found)
    launcher.setup(**setup)  # type: ignore[arg-type]
    common = ["data=generated", f"runtime.outputs='{outputs}'", "optimizer.lr=0.1", *more]
    tune([[*f"norm={norm}".split(), *common] for norm in norms], launcher, "normexp tune")
    return launcher.trained


def peak(**best: float) -> Found:
    """Accuracy falls by the distance of the rate from the best one of its norm."""
    return lambda norm, rate, seed: 0.9 - abs(rate - best[norm]) - (seed - 1000) / 1000


def test_each_cell_trains_five_rates_and_its_own_two_best_on_two_more_seeds(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    trained = tuned_by(setup, peak(batch=0.19, none=0.06), tmp_path, "batch", "none")
    five = [(rate, 1000) for rate in (0.025, 0.05, 0.1, 0.2, 0.4)]
    assert trained["batch"][:5] == trained["none"][:5] == five
    assert set(trained["batch"][5:]) == {(r, s) for r in (0.1, 0.2) for s in (1001, 1002)}
    assert set(trained["none"][5:]) == {(r, s) for r in (0.025, 0.05) for s in (1001, 1002)}
    rates = {cell.cell: cell.lr for cell in read_tuned(file_of(tmp_path, "tuned")).cells}
    assert sorted(rates.values()) == [0.05, 0.2]


def test_a_best_rate_at_the_edge_widens_the_grid_for_all_at_most_twice_and_is_said(
    setup: Mapping[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tuned_by(setup, peak(batch=0.1, none=0.0), tmp_path, "batch", "none")
    tried = [sorted({rate for rate, _ in trained[norm]}) for norm in ("batch", "none")]
    assert tried == [[0.00625, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4]] * 2
    batch, none = read_tuned(file_of(tmp_path, "tuned")).cells
    assert (none.lr, none.at_edge, batch.at_edge) == (0.00625, True, False)
    (row,) = [each for each in capsys.readouterr().out.splitlines() if "norm=none" in each]
    assert "edge" in row


def test_a_row_says_in_what_its_cell_differs_from_the_others(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    sizes = ("ghost norm.layer.ghost_size=2", "ghost norm.layer.ghost_size=16")
    tuned_by(setup, lambda *_: 0.5, tmp_path, *sizes, more=["accumulate=8"])
    names = [cell.cell for cell in read_tuned(file_of(tmp_path, "tuned")).cells]
    start = "model=cnn norm=ghost batch_size=128 accumulate=8 norm.layer.ghost_size="
    assert names == [f"{start}2", f"{start}16"]


def test_typed_again_it_trains_nothing_and_chooses_the_same(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    tuned_by(setup, peak(batch=0.1), tmp_path, "batch")
    before = file_of(tmp_path, "tuned").read_bytes()
    assert tuned_by(setup, peak(batch=0.4), tmp_path, "batch") == {}
    assert file_of(tmp_path, "tuned").read_bytes() == before


def test_a_cell_whose_rates_all_diverged_gets_none_and_is_a_mistake_beside_others(
    setup: Mapping[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(norm: str, rate: float, seed: int) -> made.Found:
        return "diverged" if norm == "none" else 0.5

    words = r"norm=none .*every learning rate diverged.*; give a smaller optimizer\.lr"
    with pytest.raises(UserError, match=words):
        tuned_by(setup, found, tmp_path, "batch", "none")
    assert len(read_tuned(file_of(tmp_path, "tuned")).cells) == 1
    assert "chosen" in capsys.readouterr().out
    with pytest.raises(UserError, match=words):
        tuned_by(setup, found, tmp_path / "other", "none")
    assert not file_of(tmp_path / "other", "tuned").exists()


def test_a_rate_that_diverged_on_a_seed_is_not_chosen_beside_one_that_never_did(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    def found(norm: str, rate: float, seed: int) -> made.Found:
        if (rate, seed) == (0.1, 1001):
            return "diverged"
        return {0.1: 0.61, 0.2: 0.58}.get(rate, 0.1)

    tuned_by(setup, found, tmp_path, "batch")
    (cell,) = read_tuned(file_of(tmp_path, "tuned")).cells
    assert cell.lr == 0.2
    assert cell.trials[2].val_accuracy == (0.61, 0.0, 0.61)


def test_a_cell_that_cannot_work_is_left_out_and_told_once(
    setup: Mapping[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(norm: str, rate: float, seed: int) -> made.Found:
        return "left out" if norm == "none" else 0.9 - rate  # the best is at an edge

    trained = tuned_by(setup, found, tmp_path, "batch", "none", more=["skip_impossible=true"])
    assert {*trained} == {"batch"}
    (cell,) = read_tuned(file_of(tmp_path, "tuned")).cells
    assert "norm=batch" in cell.cell
    lines = [line for line in capsys.readouterr().out.splitlines() if "norm=none" in line]
    assert lines == ["left out: model=cnn norm=none batch_size=128: it cannot work"]


def test_a_cell_without_a_right_image_that_did_not_diverge_gets_the_smaller_rate(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    tuned_by(setup, lambda *_: 0.0, tmp_path, "batch")
    (cell,) = read_tuned(file_of(tmp_path, "tuned")).cells
    assert cell.lr == 0.00625


def test_a_file_keeps_the_rates_of_cells_that_were_tuned_before(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    found = peak(batch=0.1, none=0.1)
    tuned_by(setup, found, tmp_path, "batch", more=["study=s"])
    tuned_by(setup, found, tmp_path, "none", more=["study=s"])
    assert len(read_tuned(file_of(tmp_path, "s")).cells) == 2


def test_two_default_rates_of_one_cell_are_refused(
    setup: Mapping[str, object], tmp_path: Path
) -> None:
    launcher = StandIn(peak(batch=0.1))
    launcher.setup(**setup)  # type: ignore[arg-type]
    lists = [["data=generated", f"optimizer.lr={rate}"] for rate in (0.1, 0.2)]
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.1,0\.2: one rate is needed"):
        tune(lists, launcher, "normexp tune")


# Which runs have one rate.


def test_seed_contrast_and_rate_do_not_enter_the_key_and_the_budget_does(spec_of: Specs) -> None:
    key = key_of(spec_of("data=generated"))
    for same in ("seed=7", "contrast=strong", "optimizer.lr=0.7"):
        assert key_of(spec_of("data=generated", same)) == key
    for other in ("epochs=3", "steps=9", "batch_size=4", "norm=none", "data.limit=50"):
        assert key_of(spec_of("data=generated", other)) != key


def test_source_of_an_augmentation_of_ones_own_does_not_enter_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec_of: Specs
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_contrast.py").write_text("class Mine: ...\n")
    (tmp_path / "my_norm.py").write_text("class Mine: ...\n")
    key = key_of(spec_of("data=generated"))
    contrast = spec_of("data=generated", "contrast.augmentation._target_=my_contrast.Mine")
    assert contrast.source
    assert key_of(contrast) == key
    norm = spec_of("data=generated", "norm.layer._target_=my_norm.Mine")
    (tmp_path / "my_norm.py").write_text("class Mine:\n    edited = True\n")
    spec_of.cache_clear()  # type: ignore[attr-defined]
    edited = spec_of("data=generated", "norm.layer._target_=my_norm.Mine")
    assert key_of(norm) != key_of(edited)


def test_weights_enter_the_key_by_what_is_in_the_file_wherever_it_lies() -> None:
    def key(file: str, **source: str) -> str:
        source = {f"model.{name}": content for name, content in source.items()}
        return key_of(replace(made.spec(model__weights=file), source=source))

    assert key("a.pt", weights="0123") == key("b.pt", weights="0123")
    assert key("a.pt", weights="0123") != key("a.pt", weights="4567")
    assert key("DEFAULT") != key("IMAGENET1K_V1")  # of torchvision, which have no file


@pytest.mark.parametrize("text", ["{", "3", "[]", "command: x\n", "cells: 1\ncommand: x\n", "\x00"])
def test_a_damaged_file_is_named_with_what_to_do(text: str, tmp_path: Path, spec_of: Specs) -> None:
    file = file_of(tmp_path, "s")
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(UserError, match="remove it and tune again") as caught:
        tuned_rate(spec_of("data=generated"), tmp_path)
    assert str(file) in str(caught.value)


def test_of_two_rates_of_a_cell_training_and_answers_take_the_newer(
    tmp_path: Path, spec_of: Specs
) -> None:
    spec = spec_of("data=generated")
    for when, (study, rate) in enumerate((("b", 0.4), ("a", 0.1))):
        cell = Tuned("", key_of(spec), rate, False, ())
        add_to_file(file_of(tmp_path, study), TunedFile("", (cell,)))
        os.utime(file_of(tmp_path, study), (when, when))
    assert tuned_rate(spec, tmp_path) == 0.1
    assert [cell.lr for cell in tuned_cells(tmp_path)] == [0.4, 0.1]


# As it is typed.


TUNED = (*SMALL, "steps=1", "runtime.outputs=my outputs", "norm=batch", "optimizer.lr=tuned")


def named_command(folder: Path) -> list[str]:
    """What is told to be typed where a sweep lacks its rates."""
    (folder / "my outputs").mkdir()
    answer = normexp(folder, "train", "-m", *TUNED, "seed=0,1", "until=null")
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    return shlex.split(line.partition("choose one: ")[2])


def test_what_has_no_rate_names_the_command_that_chooses_it(tmp_path: Path) -> None:
    assert named_command(tmp_path) == ["normexp", "tune", *TUNED[:-1]]


@pytest.mark.slow
def test_the_named_command_works_and_its_rate_is_taken(tmp_path: Path) -> None:
    tuning = normexp(tmp_path, *named_command(tmp_path)[1:])
    assert tuning.code == 0, tuning.err
    outputs = tmp_path / "my outputs"
    (cell,) = read_tuned(file_of(outputs, "tuned")).cells
    assert {len(trial.seeds) for trial in cell.trials} == {1, 3}

    once = normexp(tmp_path, "train", *TUNED)
    assert once.code == 0, once.err
    (run,) = [each for each in catalogue(outputs) if each.record.spec.seed == 0]
    assert run.record.spec.optimizer.lr == cell.lr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["seed=0"], "seed=0: normexp tune decides this by itself"),
        (["until=decided"], "until=decided: normexp tune decides this by itself"),
        (["norm=bach"], "did you mean batch?"),
        (["epochs=0"], "epochs=0 trains nothing, so no rate can be chosen"),
        (["batch_size=0"], "batch_size=0: a whole number of 1 or more is needed"),
        (["study=a,b"], "study=a,b: one study is needed"),
        (["hydra/launcher=basic"], "hydra/launcher"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "tune", *SMALL, *arguments)
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    assert words in line
    assert not list(tmp_path.glob("outputs/runs/*"))


def test_help_is_shown_without_tuning(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "tune", "--help")
    assert answer.code == 0
    assert "optimizer.lr=tuned" in answer.out
