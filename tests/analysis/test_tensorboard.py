"""TensorBoard as it is opened: started for real on a small study, and read through its HTTP."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from helpers.made import SEVERITIES, made
from helpers.small_run import events
from helpers.typed import SMALL, normexp
from PIL import Image
from scipy.stats import t

from normexp.board import METRICS
from normexp.commands.tensorboard import page_of

NORMS = ("batch", "both")
SEEDS = (0, 1, 2)
STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of two norms and three seeds, and with a run that diverged."""
    home = tmp_path_factory.mktemp("home")
    grid = (f"norm={','.join(NORMS)}", f"seed={','.join(map(str, SEEDS))}")
    assert normexp(home, "train", "-m", *SMALL, *grid, "hydra/launcher=basic").code == 0
    bad = ("norm=none", "optimizer.lr=1e9", "optimizer.warmup=0")
    assert "diverged" in normexp(home, "train", *SMALL, *bad).out
    return home


def results(home: Path, norm: str) -> list[dict[str, Any]]:
    files = sorted((home / "outputs").glob(f"runs/cnn-{norm}-*/result.json"))
    return [json.loads(file.read_text()) for file in files]


def cell_of(norm: str) -> str:
    return f"cnn-{norm}-b9-none"


@dataclass(frozen=True)
class Board:
    process: subprocess.Popen[str]
    address: str

    def get(self, path: str, **query: str) -> Any:
        with urlopen(f"{self.address}data/plugin/{path}?{urlencode(query)}") as answer:
            content = answer.read()
        return json.loads(content) if answer.headers["Content-Type"] != "image/png" else content

    def post(self, path: str, **content: Any) -> Any:
        url = f"{self.address}data/plugin/{path}"
        kind = {"Content-Type": "application/json"}
        with urlopen(Request(url, json.dumps(content).encode(), kind)) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def board(home: Path) -> Iterator[Board]:
    command = [sys.executable, "-m", "normexp", "tensorboard", "runs=true"]
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it
            taken.bind(("localhost", 6006))
            taken.listen()
        process = subprocess.Popen(
            command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            try:
                yield opened(process)
            finally:
                process.kill()


def opened(process: subprocess.Popen[str]) -> Board:
    """Wait until it has started and read every file."""
    assert process.stdout is not None
    first, second, third = (process.stdout.readline() for _ in range(3))
    assert first == "7 runs; 3 cells have a result\n"
    assert "type it again" in third
    address = re.fullmatch(
        r"TensorBoard is at (http://localhost:\d+/)\?tagFilter=\S+accuracy&\S+#timeseries; .*\n",
        second,
    )
    assert address, second
    board = Board(process, address[1])
    # The text is the last that a run writes.
    while len(board.get("scalars/tags")) < 10 or len(board.get("text/tags")) < 8:
        time.sleep(0.1)
    return board


def test_the_port_is_the_next_where_6006_is_taken(board: Board) -> None:
    assert int(board.address.rsplit(":")[-1].strip("/")) > 6006


def test_hparams_have_a_row_a_cell_with_the_mean_of_its_seeds(board: Board, home: Path) -> None:
    answer = board.post(
        "hparams/session_groups", allowedStatuses=STATUSES, startIndex=0, sliceSize=99
    )
    rows = {row["hparams"]["norm"]: row for row in answer["sessionGroups"]}
    assert len(answer["sessionGroups"]) == len(rows) == 3
    for norm in NORMS:
        found = results(home, norm)
        assert rows[norm]["name"].startswith(f"{cell_of(norm)}-")
        assert rows[norm]["hparams"]["batch_size"] == 9
        assert [run["status"] for run in rows[norm]["sessions"]] == [
            "STATUS_SUCCESS"
        ] * 4  # and the cell
        values = {each["name"]["tag"]: each["value"] for each in rows[norm]["metricValues"]}
        accuracy = fmean(each["test"]["accuracy"] for each in found)
        assert values["test/accuracy"] == pytest.approx(accuracy, rel=1e-6)
        at_5 = fmean(each["test"]["contrast"]["5"] for each in found)
        assert values["test/accuracy_contrast_5"] == pytest.approx(at_5, rel=1e-6)
        assert values["cost/seconds"] == pytest.approx(
            fmean(each["timing"]["seconds"] for each in found), rel=1e-6
        )
    # That of the cell has chance, that of the run has no accuracy.
    sessions = rows["none"]["sessions"]
    assert [run["status"] for run in sessions] == ["STATUS_FAILURE"] * 2
    told = [{m["name"]["tag"]: m["value"] for m in run["metricValues"]} for run in sessions]
    shares = [each["test/accuracy"] for each in told if "test/accuracy" in each]
    assert shares == [pytest.approx(0.1)]


def test_hparams_show_first_what_matters(board: Board) -> None:
    experiment = board.post("hparams/experiment", includeMetrics=True)
    columns = [column["name"] for column in experiment["hparamInfos"] if column["differs"]]
    assert columns == ["batch_size", "contrast", "model", "norm", "optimizer.lr"]
    shown = [metric["displayName"] for metric in experiment["metricInfos"]][:2]
    assert shown == ["test accuracy", "at contrast 5"]


def points(board: Board, run: str, tag: str) -> dict[int, float]:
    """The points of a curve; each step is there once."""
    found = board.get("scalars/scalars", run=run, tag=tag)
    steps = {step: value for _, step, value in found}
    assert len(steps) == len(found)
    return steps


@pytest.mark.parametrize("norm", NORMS)
def test_a_cell_has_the_mean_and_the_interval_of_its_seeds(
    norm: str, board: Board, home: Path
) -> None:
    cell = f"cells/{cell_of(norm)}"
    histories = [result["history"] for result in results(home, norm)]
    expected: dict[str, dict[int, float]] = {"mean": {}, "low": {}, "high": {}}
    for row in zip(*histories, strict=True):
        values = [each["val_loss"] for each in row]
        half = t.ppf(0.975, len(SEEDS) - 1) * stdev(values) / len(SEEDS) ** 0.5
        mean = fmean(values)
        for what, value in (("mean", mean), ("low", mean - half), ("high", mean + half)):
            expected[what][row[0]["step"]] = value
    for what, curve in expected.items():
        assert points(board, cell, f"interval/val/loss/{what}") == pytest.approx(curve, rel=1e-5)
    assert points(board, cell, "val/loss") == pytest.approx(expected["mean"], rel=1e-5)
    steps = {row["step"]: row["images"] for row in histories[0]}
    by_images = {steps[step]: value for step, value in expected["mean"].items()}
    assert points(board, cell, "by_images/val/loss") == pytest.approx(by_images, rel=1e-5)


def test_a_cell_has_accuracy_by_contrast_and_gates(board: Board, home: Path) -> None:
    cell = f"cells/{cell_of('both')}"
    found = results(home, "both")
    for severity, value in points(board, cell, "contrast/accuracy").items():
        tests = [each["test"] for each in found]
        shares = [
            test["contrast"][str(severity)] if severity else test["accuracy"] for test in tests
        ]
        assert value == pytest.approx(fmean(shares), rel=1e-6)
    gates = [each["readings"]["gate/stage1.0.norm"] for each in found]
    ((_, gate),) = points(board, cell, "gate/stage1.0.norm").items()
    assert gate == pytest.approx(fmean(gates), rel=1e-6)


def test_single_seeds_stand_beside_their_cell(board: Board, home: Path) -> None:
    tags = board.get("scalars/tags")
    for norm in NORMS:
        runs = [run for run in tags if run.startswith(f"runs/cnn-{norm}-")]
        assert len(runs) == len(SEEDS)
        for run in [*runs, f"cells/{cell_of(norm)}"]:
            assert {"val/accuracy", "train/loss", "contrast/accuracy"} <= tags[run].keys()
            assert all(len(tag) < 50 for tag in tags[run])


def test_the_layout_s_charts_have_curves(board: Board, home: Path) -> None:
    layout = board.get("custom_scalars/layout")
    tags = board.get("scalars/tags")
    cell = tags[f"cells/{cell_of('both')}"]
    of_cells, of_runs = layout["category"]
    titles = [chart["title"] for chart in of_cells["chart"]]
    assert titles[0] == "test accuracy by contrast severity"
    assert len(titles) == len(set(titles)) == 4
    for chart in of_cells["chart"]:
        (series,) = chart["margin"]["series"]
        assert set(series.values()) <= cell.keys()
        # TensorBoard warns of a run that has some of the three.
        assert not any(
            set(series.values()) & own.keys() for run, own in tags.items() if "s0" in run
        )
    (run,) = (own for run, own in tags.items() if run.startswith("runs/cnn-both-b9-none-s0"))
    for chart in of_runs["chart"]:
        (pattern,) = chart["multiline"]["tag"]
        assert any(re.match(pattern, tag) for tag in run)


def test_the_overview_has_the_figures_of_the_report(board: Board) -> None:
    tags = board.get("images/tags")["cells/answer"]
    names = {tag.split()[0] for tag in tags}
    # After so few steps no cell is above chance, so that there is no coloured table.
    assert names == {"answer/accuracy", "answer/contrast", "answer/gate"}
    for tag in tags:
        (told,) = board.get("images/images", run="cells/answer", tag=tag)
        with urlopen(f"{board.address}data/plugin/images/individualImage?{told['query']}") as png:
            image = Image.open(io.BytesIO(png.read()))
        assert image.width > 200


def test_the_overview_has_the_table_and_a_run_its_summary(board: Board, home: Path) -> None:
    tags = board.get("text/tags")
    assert min(tags["cells/answer"]) == "answer"  # shown first
    (said,) = board.get("text/text", run="cells/answer", tag="answer")
    assert "test accuracy" in said["text"].lower()
    tables = [tag for tag in tags["cells/answer"] if tag.startswith("answer/accuracy table")]
    (told,) = (
        text
        for tag in tables
        for text in board.get("text/text", run="cells/answer", tag=tag)
        if "both" in text["text"]
    )
    accuracy = 100 * fmean(each["test"]["accuracy"] for each in results(home, "both"))
    assert f"{accuracy:.1f} [" in told["text"]
    run = next(run for run in tags if run.startswith("runs/cnn-both-"))
    (told,) = board.get("text/text", run=run, tag="summary")
    assert "gate/stage0.0.norm" in told["text"]
    assert "stage3.0.norm.weight" in told["text"]


def test_ctrl_c_ends_it_quietly(board: Board) -> None:
    board.process.send_signal(signal.SIGINT)
    out, err = board.process.communicate(timeout=20)
    assert board.process.returncode == 0
    assert out.strip() == ""
    assert "Traceback" not in err


# The view, without a server.


@pytest.fixture
def copied(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home / "outputs" / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture
def view(copied: Path) -> Callable[[], int]:
    from helpers.rows import runs

    from normexp.analysis.report.report import Choices
    from normexp.analysis.tensorboard import write_view

    def write() -> int:
        found = runs(copied)
        return write_view(
            found,
            found,
            Choices(by=["norm"], reference=None, margin=0.5, level=0.95),
            copied / "cells",
        )

    return write


def files(outputs: Path) -> dict[str, float]:
    found = (outputs / "cells").rglob("*")
    return {str(file): file.stat().st_mtime_ns for file in found if file.is_file()}


def test_a_view_made_again_leaves_what_has_not_changed(
    view: Callable[[], int], copied: Path
) -> None:
    assert view() == 3
    before = files(copied)
    assert len(before) == 4
    view()
    assert files(copied) == before


def test_a_view_made_again_has_new_seeds_and_no_point_twice(
    view: Callable[[], int], copied: Path
) -> None:
    (last,) = copied.glob("runs/cnn-both-*-s2-*")
    aside = last.rename(copied / "aside")
    view()
    (folder,) = copied.glob("cells/cnn-both-*")
    two = [point.value for point in events(folder).Scalars("val/loss")]
    (folder / f".{next(folder.iterdir()).name}.1.tmp").write_bytes(b"killed as it wrote")
    aside.rename(last)
    view()
    three = [point.value for point in events(folder).Scalars("val/loss")]
    assert len(three) == len(two)
    assert three != two
    assert len(list(folder.iterdir())) == 1


def test_cells_that_are_no_more_leave_the_view(view: Callable[[], int], copied: Path) -> None:
    view()
    for run in copied.glob("runs/cnn-both-*"):
        shutil.rmtree(run)
    assert view() == 2
    names = {folder.name for folder in copied.glob("cells/*/")}
    assert names == {"answer", cell_of("batch"), cell_of("none")}


def test_the_cells_alone_have_curves_and_what_hparams_shows(
    view: Callable[[], int], copied: Path
) -> None:
    for run in copied.glob("runs/cnn-both-*-s[12]-*"):
        shutil.rmtree(run)
    view()
    (folder,) = copied.glob("cells/cnn-both-*")  # a cell of one seed
    (result,) = (
        json.loads(file.read_text()) for file in copied.glob("runs/cnn-both-*/result.json")
    )
    found = events(folder)
    told = {tag: found.Scalars(tag)[-1].value for tag in METRICS}
    assert told["test/accuracy"] == pytest.approx(result["test"]["accuracy"], rel=1e-6)
    at_5 = result["test"]["contrast"]["5"]
    assert told["test/accuracy_contrast_5"] == pytest.approx(at_5, rel=1e-6)
    gap = result["history"][-1]["train_accuracy"] - result["test"]["accuracy"]
    assert told["test/gap"] == pytest.approx(gap, abs=1e-6)
    assert told["cost/seconds"] == pytest.approx(result["timing"]["seconds"], rel=1e-6)


def test_a_run_that_diverged_counts_as_chance_in_its_cell(tmp_path: Path) -> None:
    from normexp.analysis.report.report import Choices
    from normexp.analysis.tensorboard import write_view

    runs = [made(0.9, norm="batch"), made("diverged", norm="batch", seed=1)]
    runs.append(made("diverged", norm="both"))
    write_view(runs, runs, Choices(["norm"], None, 0.5, 0.95), tmp_path)
    for norm, accuracy, at_5 in (("batch", 0.5, 0.275), ("both", 0.1, 0.1)):
        found = events(tmp_path / f"cnn-{norm}-b8-none")
        told = {
            tag: [point.value for point in found.Scalars(tag)]
            for tag in ("test/accuracy", "contrast/accuracy", "test/accuracy_contrast_5")
        }
        assert told["test/accuracy"] == [pytest.approx(accuracy)]
        assert told["contrast/accuracy"][:: len(SEVERITIES)] == pytest.approx([accuracy, at_5])
        assert told["test/accuracy_contrast_5"] == [pytest.approx(at_5)]


def test_the_address_shows_accuracy_where_runs_are_selected_and_hparams_where_not() -> None:
    assert page_of(501, 1) == "#hparams"
    query = {key: value for key, (value,) in parse_qs(urlsplit(page_of(500, 1)).query).items()}
    for tag in ("val/accuracy", "test/accuracy_contrast_5", "answer/accuracy"):
        assert re.search(query["tagFilter"], tag)
    for tag in ("interval/val/accuracy/low", "by_images/val/accuracy", "val/loss"):
        assert not re.search(query["tagFilter"], tag)


@pytest.mark.parametrize(("sizes", "is_one_colour"), [(1, True), (2, False)])
def test_batch_sizes_of_a_norm_have_colours_of_their_own(sizes: int, is_one_colour: bool) -> None:
    (group,) = parse_qs(urlsplit(page_of(9, sizes)).query)["runColorGroup"]
    runs = "cells/cnn-by_depth-b8-none", "cells/cnn-by_depth-b32-none"
    found = [re.search(group.removeprefix("regex:"), run) for run in runs]
    colours = {match[1] for match in found if match}
    assert all(found)
    assert (len(colours) == 1) == is_one_colour
    assert min(colours).startswith("by_depth")


def test_charts_without_a_curve_are_left_out(view: Callable[[], int], copied: Path) -> None:
    view()
    content = (next((copied / "cells" / "answer").iterdir())).read_bytes()
    assert b"gates: " in content
    assert b"length of the gradient" not in content  # of single runs
    for run in copied.glob("runs/cnn-both-*"):
        shutil.rmtree(run)
    view()
    assert b"gates: " not in (next((copied / "cells" / "answer").iterdir())).read_bytes()


def test_a_view_of_unfinished_runs_has_no_cell(view: Callable[[], int], copied: Path) -> None:
    for result in copied.glob("runs/*/result.json"):
        result.unlink()
    assert view() == 0
