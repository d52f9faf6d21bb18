"""`normexp runs clean=`: what no state names is removed by its name."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.typed import normexp

from normexp.runs.files import write_sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four finished runs, one that cannot be read and one without weights."""
    make_study(tmp_path / "outputs", ["batch", "both"], [8], 2, lambda *_: 0.5)
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(run.name for run in folder.glob("outputs/runs/*"))


def test_a_finished_run_is_removed_by_its_name(folder: Path) -> None:
    name, *others = left(folder)
    answer = normexp(folder, "runs", f"clean={name}", "yes=true")
    assert answer.code == 0, answer.err
    assert left(folder) == others


def test_several_are_removed_by_a_pattern_and_a_filter(folder: Path) -> None:
    assert normexp(folder, "runs", "clean=*", "norm=batch", "yes=true").code == 0
    assert all("-both-" in name for name in left(folder))
    assert len(left(folder)) == 2


def test_one_that_cannot_be_read_is_removed_by_its_name(folder: Path) -> None:
    name, *others = left(folder)
    (folder / "outputs/runs" / name / "run.json").write_text("{")
    assert normexp(folder, "runs", f"clean={name}", "yes=true").code == 0
    assert left(folder) == others


def test_of_a_link_the_link_alone_is_removed(folder: Path) -> None:
    name, *others = left(folder)
    target = (folder / "outputs/runs" / name).rename(folder / "elsewhere")
    (folder / "outputs/runs" / name).symlink_to(target)
    before = sorted(target.iterdir())
    answer = normexp(folder, "runs", f"clean={name}", "yes=true")
    assert answer.code == 0, answer.err
    assert left(folder) == others
    assert sorted(target.iterdir()) == before


def test_a_name_that_is_none_removes_nothing(folder: Path) -> None:
    answer = normexp(folder, "runs", "clean=nosuch", "yes=true")
    assert answer.code == 1
    assert "clean=nosuch" in answer.err
    assert len(left(folder)) == 4


def test_runs_of_two_folders_are_listed_with_spaces_between(folder: Path) -> None:
    make_run(folder / "other", 0.5, norm="none")
    answer = normexp(folder, "runs", "outputs=[outputs, other]", "columns=norm, batch_size")
    assert answer.code == 0, answer.err
    assert {line.split()[0] for line in answer.out.splitlines()} == {
        "norm",
        "batch",
        "both",
        "none",
    }


@pytest.mark.parametrize("part", ["runs", "runs/{run}", "runs/none"])
@pytest.mark.parametrize(
    "command",
    [
        ("runs", "outputs="),
        ("runs", "clean=*", "yes=true", "outputs="),
        ("report", "runtime.outputs="),
        ("claims", "runtime.outputs="),
        ("evaluate", "run=cnn-*", "runtime.outputs="),
        ("evaluate", "study=made", "runtime.outputs="),
    ],
)
def test_a_part_of_the_outputs_names_the_whole(
    folder: Path, command: tuple[str, ...], part: str
) -> None:
    names = left(folder)
    *words, outputs = command
    part = f"outputs/{part.format(run=names[0])}"
    answer = normexp(folder, *words, f"{outputs}{part}")
    assert answer.code == 1
    assert answer.err == f"normexp: there is no run in {part}; the folder to give is outputs\n"
    assert left(folder) == names


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_run_that_lost_its_weights_names_the_line_that_makes_it_again(
    folder: Path, damage: str
) -> None:
    run = make_run(folder / "outputs", 0.5, norm="none")
    if damage == "damaged":
        write_sealed(run.weights, b"weights")
        run.weights.write_bytes(run.weights.read_bytes()[:-1])
    answer = normexp(folder, "evaluate", f"run={run.name}")
    assert answer.code == 1
    clean, train = answer.err.split("again: ")[-1].split(" && ")
    assert train.strip() == run.record().command
    assert normexp(folder, *shlex.split(clean)[1:]).code == 0
    assert not run.path.exists()
