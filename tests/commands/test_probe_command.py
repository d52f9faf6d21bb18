"""`normexp probe` from the command line to its table, its words and its file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from helpers.typed import Answer, normexp

from normexp import build

NORMS = sorted(path.stem for path in Path(build.conf_dir(), "norm").glob("*.yaml"))
PAIRS = {
    "gain": "gain",
    "channel gain": "channel_gain",
    "shift": "shift",
    "contrast": "contrast",
    "other images": "other_images",
    "identity R²": "identity",
    "one image": "one_image",
    "1×1 map": "one_pixel",
}
SINGLE = {"gradient": "other_images_gradient", "mode": "mode", "parameters": "parameters"}
OWN = """\
from torch import nn

class Halved(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) / 2

class Mean(nn.Module):
    def __init__(self, num_features):
        super().__init__()

    def forward(self, x):
        return x.mean((2, 3))

class Pair(Mean):
    def forward(self, x):
        return x, 1

class Two(Mean):
    def __init__(self, num_features, other):
        super().__init__(num_features)
"""


SOME = "batch,instance,both,grn,none,renorm,serial,split,stem_instance,weight,weight_std"


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A folder in which `normexp probe` was typed, and its answer."""
    folder = tmp_path_factory.mktemp("some")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "300")
        answer = normexp(folder, "probe", f"norm={SOME}", "batch_size=8")
    assert (answer.code, answer.err) == (0, "")
    return folder, answer


def table(answer: Answer) -> dict[str, dict[str, str]]:
    """The cells of the table by layer and by column."""
    head, *lines = answer.out.partition("\n\n")[0].splitlines()
    names = re.split(r"\s{2,}", head)
    rows = [dict(zip(names, re.split(r"\s{2,}", line), strict=True)) for line in lines]
    return {row["layer"]: row for row in rows}


def words(answer: Answer, layer: str) -> list[str]:
    """What the text says of a layer."""
    paragraphs = re.sub(r"\n  ", " ", answer.out).splitlines()
    (said,) = (line for line in paragraphs if line.startswith(f"{layer}: "))
    return said.removeprefix(f"{layer}: ").removesuffix(".").split("; ")


def records(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "outputs" / "probe.csv").open(encoding="utf-8", newline="") as file:
        return {row["layer"]: row for row in csv.DictReader(file)}


def said(cell: str, number: str) -> bool:
    """Whether a part of a table's cell says what the file's number is."""
    text = cell.removeprefix("✓ ")
    try:
        shown, exact = float(text), float(number)
    except ValueError:
        return text == number.split(" (")[0]
    return shown == pytest.approx(exact, rel=0.06, abs=1e-12)


# Many norms.


@pytest.mark.slow
def test_every_norm_has_its_lines_and_the_template_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    answer = normexp(tmp_path, "probe", "norm=all", "batch_size=4")
    assert {layer.split(" ")[0] for layer in table(answer)} == set(NORMS) - {"custom", "own"}
    assert "outputs/probe.csv" in answer.out


def test_the_file_says_what_the_table_says(some: tuple[Path, Answer]) -> None:
    folder, answer = some
    shown, exact = table(answer), records(folder)
    assert list(shown) == list(exact)
    for layer, row in shown.items():
        record = exact[layer]
        for column, name in PAIRS.items():
            numbers = [record[f"{name}_training"], record[f"{name}_evaluation"]]
            parts = row[column].split(" / ")
            if len(parts) == 1:  # the same to two digits, or both below the limit
                assert any(said(parts[0], number) for number in numbers), (layer, column)
            else:
                assert all(map(said, parts, numbers)), (layer, column)
        assert all(said(row[column], record[name]) for column, name in SINGLE.items()), layer
        assert (record["batch_size"], record["seed"]) == ("8", "0")
        assert record["words"].split("; ") == words(answer, layer)


def test_a_tick_is_a_deviation_below_a_thousandth(some: tuple[Path, Answer]) -> None:
    for row in table(some[1]).values():
        for column in (
            "gain",
            "channel gain",
            "shift",
            "contrast",
            "other images",
            "gradient",
            "mode",
        ):
            for part in row[column].split(" / "):
                assert part.startswith("✓") == (float(part.removeprefix("✓ ")) < 1e-3)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ("batch", "equals batch norm"),
        ("batch", "an image's output depends on the other images in the batch in training"),
        ("batch", "not the same in training and evaluation"),
        ("batch", "can be the identity for every image in evaluation"),
        ("batch", "in training it is instance norm where a batch has one image"),
        ("batch", "invariant to no change of gain, shift or contrast"),
        ("instance", "invariant to gain, channel gain, shift, contrast"),
        ("instance", "an image's output does not depend on the other images in the batch"),
        ("instance", "the same in training and evaluation"),
        ("instance", "cannot be the identity for every image in either mode"),
        ("serial", "equals instance norm"),
        ("both", "all this as it starts, for it learns gate too"),
        ("grn", "equals a scale and a shift"),
        ("grn", "all this as it starts, for with another weight and bias it is another norm"),
        ("none", "can be the identity for every image in training and in evaluation"),
        (
            "renorm",
            "an image's output does not depend on the other images in the batch, "
            "but its gradient in training does",
        ),
        ("split (first_of_block)", "a placing, this layer at roles=[first] stages=[1, -2]"),
        ("split (else)", "a placing, this layer everywhere else"),
        ("stem_instance (stem)", "equals instance norm"),
        ("weight", "its convolutions are changed, and do not see the length of a filter"),
        (
            "weight_std",
            "its convolutions are changed, and do not see the length of a filter or a constant "
            "added to a filter",
        ),
    ],
)
def test_what_follows_is_said_in_words(
    some: tuple[Path, Answer], layer: str, sentence: str
) -> None:
    assert sentence in words(some[1], layer)


def test_a_refusal_is_told_with_its_reason(some: tuple[Path, Answer]) -> None:
    assert any(
        sentence.startswith("1×1 maps: refuses (Expected more than 1 spatial element")
        for sentence in words(some[1], "instance")
    )


# Some norms.


@pytest.mark.parametrize("names", ["batch,instance", "[batch,instance]"])
def test_a_list_of_norms_needs_no_flag(names: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "probe", f"norm={names}", "batch_size=4", "seed=3")
    assert (answer.code, answer.err) == (0, "")
    assert list(table(answer)) == ["batch", "instance"]
    assert {(row["batch_size"], row["seed"]) for row in records(tmp_path).values()} == {("4", "3")}


def test_cells_of_one_norm_are_told_apart_by_what_was_typed(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "probe", "norm=none,batch", "batch_size=2,4")
    assert list(records(tmp_path)) == [
        f"{norm} (batch_size={size})" for norm in ("none", "batch") for size in (2, 4)
    ]
    assert "equals batch norm" in words(answer, "batch (batch_size=2)")


def test_settings_of_a_layer_reach_it_and_the_file_lies_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    typed = ("norm=group", "norm.layer.num_groups=32", "runtime.outputs=there", "batch_size=4")
    answer = normexp(tmp_path, "probe", *typed)
    assert "equals instance norm" in words(answer, "group")  # 32 channels
    assert (tmp_path / "there" / "probe.csv").exists()


def test_a_norm_of_one_s_own_comes_from_a_module_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "probe_own.py").write_text(OWN)
    typed = ("norm=custom", "norm.layer._target_=probe_own.Halved", "batch_size=4")
    answer = normexp(tmp_path, "probe", *typed)
    assert (answer.code, answer.err) == (0, "")
    assert "equals batch norm" in words(answer, "custom")


def test_a_norm_of_one_s_own_comes_from_a_folder_of_settings(tmp_path: Path) -> None:
    (tmp_path / "probe_mine.py").write_text(OWN)
    (tmp_path / "conf" / "norm").mkdir(parents=True)
    (tmp_path / "conf" / "norm" / "mine.yaml").write_text(
        "name: mine\nlayer:\n  _target_: probe_mine.Halved\n  _partial_: true\n"
    )
    answer = normexp(tmp_path, "probe", "--config-dir=conf", "norm=mine,none", "batch_size=4")
    assert (answer.code, answer.err) == (0, "")
    assert "equals batch norm" in words(answer, "mine")
    assert "equals a scale and a shift" in words(answer, "none")


# Mistakes.


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["norm=xyz"], "norm=xyz: there is no such choice; there are: " + ", ".join(NORMS)),
        (["norm=batch,bacth"], "norm=bacth: there is no such choice; did you mean batch?"),
        (["norm=custom"], "norm.layer._target_ is not given; add norm.layer._target_=..."),
        (["norm=batch", "batch_size=1"], "batch_size=1: a whole number of 2 or more is needed"),
        (["norm=batch", "seed=a"], "seed=a: a whole number of 0 or more"),
        (["norm=group", "norm.layer.num_groups=7"], "norm=group: num_groups=7 does not divide 32"),
        (
            ["norm=custom", "norm.layer._target_=probe_bad.Mean"],
            "norm=custom: the layer turns (32, 32, 6, 6), torch.float64 into (32, 32)",
        ),
        (
            ["norm=custom", "norm.layer._target_=probe_bad.Pair"],
            "norm=custom: the layer returns tuple, and a tensor is needed",
        ),
        (
            ["norm=custom", "norm.layer._target_=probe_bad.Two"],
            "norm=custom: Two.__init__() missing 1 required positional argument: 'other'",
        ),
        (
            ["norm=custom", "norm.layer._target_=torch.nn.GroupNorm"],
            "norm=custom: GroupNorm.__init__() missing 1 required positional argument: "
            "'num_channels'; it takes the number of groups first",
        ),
        (["norm=own"], "norm=own: these are the norms that a network brings"),
        (["model=resnet20"], "there is no setting 'model'; --help shows those that there are"),
    ],
)
def test_a_mistake_is_told_in_a_line(typed: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "probe_bad.py").write_text(OWN)
    answer = normexp(tmp_path, "probe", *typed)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"normexp: {told}")
    assert answer.err.count("\n") == 1


def test_a_norm_that_cannot_be_measured_does_not_keep_the_others_back(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "probe", "norm=custom,none", "batch_size=4")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert list(table(answer)) == ["none"]


def test_the_help_shows_the_settings(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "probe", "--help")
    assert answer.code == 0
    assert "batch_size=32" in answer.out


def test_the_old_word_answers_with_the_new_one(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "prove", "norm=all")
    assert (answer.code, answer.out) == (2, "")
    assert "normexp probe" in answer.err
