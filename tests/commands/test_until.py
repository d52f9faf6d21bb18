"""`until=decided` adds seeds to comparisons that are open, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers import made
from helpers.typed import SMALL, normexp

from normexp.commands.until import until_decided
from normexp.errors import UserError
from normexp.runs.catalogue import catalogue
from normexp.runs.folder import RunFolder
from normexp.runs.looks import read_looks
from normexp.runs.runtime import Runtime
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended

Found = Callable[[str, int], made.Found]
NOISE = (0.1, -0.4, 0.3, 0.0, -0.2, 0.4, -0.3, 0.2, 0.1, -0.1)
"""Of seeds, in points: it decides nothing within ten seeds where the mean is a fifth of it."""


def grid(outputs: Path, norms: Sequence[str], seeds: Sequence[int], most: int) -> list[Cell]:
    runtime = Runtime(str(outputs), "cache", "cpu", 1, 1, 20, 60, None, "decided", most)
    cells = []
    for norm in norms:
        for seed in seeds:
            spec = made.spec(norm=norm, seed=seed)
            label = f"norm={norm} seed={seed}"
            folder = RunFolder.of(outputs, spec)
            cells.append(Cell(label, spec, runtime, folder, tuple(label.split())))
    return cells


@dataclass
class Work:
    """Stands in for a sweep: a run takes no time and finds what it is said to find."""

    found: Found
    done: list[str] = field(default_factory=list)

    def __call__(self, cells: Sequence[Cell]) -> Mapping[str, Ended]:
        ends = {}
        for cell in cells:
            if cell.is_finished:
                cell.revisit(None)
            else:
                self.done.append(cell.label)
                cell.open(None)
                accuracy = self.found(cell.spec.norm.name, cell.spec.seed)
                if accuracy == "failed":
                    ends[cell.label] = Ended("failed", "no space is left")
                else:
                    cell.folder.finish(made.result(cell.spec, accuracy))
        return ends


NORMS = ("batch", "instance", "none")


def carry_out(
    outputs: Path, found: Found, most: int = 10, norms: Sequence[str] = NORMS
) -> list[str]:
    """Return the labels of what was trained, in order."""
    work = Work(found)
    until_decided([["seed=0"]], grid(outputs, norms, (0, 1, 2), most), work)
    return work.done


def one_far_one_near(norm: str, seed: int) -> float:
    """Instance norm is thirty points behind; none cannot be told from batch norm."""
    noise = NOISE[seed] / 100
    return {"batch": 0.8, "instance": 0.5 + noise / 5, "none": 0.8 + noise * 2}[norm]


def test_only_cells_of_an_open_comparison_get_the_next_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = carry_out(tmp_path, one_far_one_near)
    seeds = {norm: sum(f"norm={norm}" in label for label in done) for norm in ("instance", "none")}
    assert seeds["none"] == 10
    assert 4 <= seeds["instance"] < 8
    out = capsys.readouterr().out
    assert "round 2: 2 of 2 comparisons open; seed 3 for 3 cells" in out
    assert "1 of 2 comparisons open; seed 9 for 2 cells" in out
    assert "behind by 30.0 points" in out
    assert "1 of 2 comparisons still open after 10 seeds; max_seeds=20 goes on" in out


def test_it_stops_where_all_is_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def apart(norm: str, seed: int) -> float:
        return {"batch": 0.9, "instance": 0.7, "none": 0.6}[norm] + NOISE[seed] / 500 * len(norm)

    done = carry_out(tmp_path, apart)
    assert len(done) < 30
    assert "2 comparisons: none is open" in capsys.readouterr().out


def test_a_norm_that_is_the_same_is_found_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def alike(norm: str, seed: int) -> float:
        return 0.8 + (NOISE[seed] / 1000 if norm == "instance" else 0)

    carry_out(tmp_path, alike, norms=("batch", "instance"))
    out = capsys.readouterr().out
    assert "the same" in out
    assert "1 comparison: none is open" in out


def test_typed_again_it_trains_nothing_and_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(tmp_path, one_far_one_near)
    first = capsys.readouterr().out
    assert carry_out(tmp_path, one_far_one_near) == []
    again = capsys.readouterr().out
    ends = [text[text.index("test accuracy, points") :] for text in (first, again)]
    assert ends[0] == ends[1]
    assert [line for line in first.splitlines() if line.startswith("round")] == [
        line for line in again.splitlines() if line.startswith("round")
    ]


def test_stopped_and_typed_again_with_more_seeds_it_goes_on_as_if_never_stopped(
    tmp_path: Path,
) -> None:
    first = carry_out(tmp_path / "a", one_far_one_near, most=5)
    rest = carry_out(tmp_path / "a", one_far_one_near, most=8)
    assert first + rest == carry_out(tmp_path / "b", one_far_one_near, most=8)


def test_runs_bear_the_design_also_those_that_were_planned(tmp_path: Path) -> None:
    folder = made.make_run(tmp_path, 0.8, norm="batch", seed=0)
    assert folder.record().design == "planned"
    carry_out(tmp_path, one_far_one_near, most=3)
    assert {entry.record.design for entry in catalogue(tmp_path)} == {"sequential"}
    assert set(read_looks(tmp_path).cells.values()) == {(0, 1, 2)}


def test_cells_at_chance_get_no_more_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = carry_out(tmp_path, lambda norm, seed: 0.1 if norm == "batch" else "diverged")
    assert len(done) == 9
    assert "2 of 2 comparisons not above chance" in capsys.readouterr().out


def test_a_run_that_diverged_counts_as_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(norm: str, seed: int) -> made.Found:
        return 0.8 if norm == "batch" else "diverged"

    carry_out(tmp_path, found, norms=("batch", "none"))
    assert "behind by 70.0 points" in capsys.readouterr().out  # chance is 10 %


def test_it_stops_where_a_run_fails(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 of 6 runs failed"):
        carry_out(
            tmp_path,
            lambda norm, seed: "failed" if (norm, seed) == ("none", 2) else 0.8,
            norms=("batch", "none"),
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["norm=batch", "until=decided"], "nothing to compare"),
        (["norm=batch,none", "until=decided", "max_seeds=2"], "3 seeds are given; take 3 or more"),
        (["norm=batch,none", "until=decided", "max_seeds=0"], "a whole number of 1 or more"),
        (["norm=batch,none", "until=decidd"], "one of decided, null is needed"),
        (["norm=batch,none", "until=decided", "hydra/launcher=basic"], "leave hydra/launcher out"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "train", "-m", *SMALL, *arguments)
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    assert words in line


def test_a_small_sweep_until_decided(tmp_path: Path) -> None:
    arguments = ("-m", *SMALL, "norm=batch,none", "seed=0,1", "until=decided", "max_seeds=3")
    answer = normexp(tmp_path, "train", *arguments)
    assert answer.code == 0, answer.err
    entries = catalogue(tmp_path / "outputs")
    assert sorted(entry.record.spec.seed for entry in entries) in ([0, 0, 1, 1], [0, 0, 1, 1, 2, 2])
    for entry in entries:
        assert entry.record.design == "sequential"
        alone = entry.record.command.split()
        assert f"seed={entry.record.spec.seed}" in alone
        assert "-m" not in alone


def test_until_and_max_seeds_are_no_part_of_a_runs_identity(tmp_path: Path) -> None:
    one = normexp(tmp_path, "train", *SMALL, "steps=1")
    other = normexp(tmp_path, "train", *SMALL, "steps=1", "until=decided", "max_seeds=4")
    assert (one.code, other.code) == (0, 0), other.err
    assert "is finished already" in other.out
