"""The files of a report say what the runs found, and what is missing."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from helpers.made import Found, leave_lens, make_run, make_study
from helpers.rows import runs

from normexp.analysis.render.colours import COLOURS, INK, INK_ON_DARK
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.lens import lens_section
from normexp.analysis.report.report import Choices, Heading, write_report
from normexp.runs.folder import RunFolder

CHOICES = Choices(["norm", "batch_size"], reference=None, margin=0.5, level=0.95)


def found(norm: str, batch_size: int, seed: int) -> Found:
    """Both is best; at 128, none diverges for one seed, instance for all."""
    if batch_size == 128 and (norm == "instance" or (norm, seed) == ("none", 1)):
        return "diverged"
    level = {"batch": 0.6, "both": 0.7, "instance": 0.5, "none": 0.4}[norm]
    return round(level + 0.01 * seed + 0.001 * ((3 * seed + batch_size) % 5), 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a study with diverged, unfinished, failed and missing runs."""
    outputs = tmp_path_factory.mktemp("outputs")
    make_study(outputs, ["batch", "both", "instance", "none"], [8, 128], 3, found)
    make_study(outputs, ["batch"], [32], 1, found)
    make_run(outputs, "unfinished", norm="both", batch_size=32)
    make_run(outputs, "failed", norm="instance", batch_size=32)
    lens: list[dict[str, Any]] = [
        {"axis": "contrast", "change": "curve", "level": level, "statistics": what, "accuracy": a}
        for what in ("running", "batch")
        for level, a in ((0.5, 0.3), (1, 0.6))
    ]
    by_batch: dict[str, Any] = {"axis": "contrast", "statistics": "batch"}
    lens.append({**by_batch, "change": "none", "level": 1, "accuracy": 0.61})
    lens += [
        {**by_batch, "change": "corruption", "level": share, "accuracy": 0.1 + share / 2}
        for share in (0.75, 0.5, 0.4, 0.3, 0.15)  # CIFAR-10-C's severities 1 to 5
    ]
    other: dict[str, Any] = {"axis": "statistics", "change": "none", "level": 1, "alpha": None}
    lens.append({**other, "statistics": "batch", "batch_size": 16, "accuracy": 0.625})
    for run in RunFolder.all_below(outputs, "cnn-batch-b8-*"):
        leave_lens(run, *lens)
    to = outputs / "reports" / "made"
    page = write_report(
        runs(outputs), CHOICES, Heading("Study made", "Which is <best>?", "Made here"), to
    )
    assert page == to / "index.html"
    return to


@pytest.fixture(scope="module")
def markdown(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


def line(text: str, start: str) -> list[str]:
    """The cells of the first line of a Markdown table that starts so."""
    (first, *_) = (each for each in text.splitlines() if each.startswith(f"| {start} |"))
    return [cell.strip() for cell in first.strip("|").split("|")]


def test_means_have_intervals_and_cells_without_one_say_why(markdown: str) -> None:
    # Seeds 0.603, 0.611, 0.624 at batch size 8: 61.27 ± 4.303 · 1.060 / √3.
    assert line(markdown, "batch")[1] == "**61.3 [58.6, 63.9]**"
    assert line(markdown, "batch")[2] == "**60.2 (1 seed)**"
    assert line(markdown, "both")[2] == "1 unfinished"
    assert line(markdown, "instance")[2:] == ["1 failed", "3 diverged"]
    assert line(markdown, "none")[2] == "no run"
    assert line(markdown, "none")[3].endswith("; 1 of 3 diverged**")


def test_what_cannot_be_concluded_is_said(markdown: str) -> None:
    assert "On one or two seeds: 1 of 11 cells" in markdown
    assert "nothing can be concluded" in markdown
    assert "instance, batch size 128 (3 of 3 diverged): not above chance" in markdown
    assert "none, batch size 128: 1 of 3 runs collapsed to chance" in markdown
    assert "Diverged, which counts as chance: instance, batch size 128 3 of 3; none," in markdown
    assert "No run at all: norm=none batch_size=32." in markdown


def test_cells_that_did_not_learn_for_one_reason_share_a_line(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch", "instance"], [8, 32], 1, lambda *_: 0.1)
    write_report(runs(tmp_path), CHOICES, Heading("All", None, ""), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    (line,) = (each for each in text.splitlines() if "A run there has not learned" in each)
    assert line.count("batch size ") == 4


def test_a_run_that_is_lost_has_its_reason_and_the_command_that_goes_on(markdown: str) -> None:
    lost = markdown.partition("## State of the runs")[2].partition("\n## ")[0].splitlines()
    (diverged,) = (each for each in lost if "none-b128" in each)
    assert "the loss was not finite after 150 steps" in diverged
    (failed,) = (each for each in lost if "no space is left" in each)
    assert "normexp train norm=instance batch_size=32 seed=0" in failed


def test_steps_to_an_accuracy_have_no_mean_where_a_seed_does_not_reach_it(markdown: str) -> None:
    # Validation reaches 40, 41 and 42 % after two epochs, 60, 61 and 62 % after three.
    steps = markdown.partition("Steps to a validation accuracy")[2]
    assert line(steps, "batch, batch size 8")[1:4] == [
        "200 [200, 200]",
        "300 [300, 300]",
        "not reached",
    ]
    assert line(steps, "none, batch size 128 (1 of 3 diverged)")[1] == "2 of 3 seeds"


def test_gates_are_told_by_depth(markdown: str) -> None:
    gates = markdown.partition("## Gates")[2]
    assert line(gates, "both, batch size 8")[1:] == [
        *("0.50 [0.50, 0.50]", "0.60 [0.60, 0.60]", "0.70 [0.70, 0.70]", "0.80 [0.80, 0.80]")
    ]


def test_the_lens_is_told_where_runs_were_evaluated(markdown: str) -> None:
    lens = markdown.partition("## Other contrasts, other statistics")[2]
    assert "3 of 27 runs were seen by `normexp evaluate`" in lens
    assert line(lens, "cell")[1] == "batch 16"
    assert line(lens, "batch, batch size 8")[1] == "62.5 [62.5, 62.5]"
    of_batch = lens.partition("in place of the running ones")[2]
    assert [float(text.split()[0]) for text in line(of_batch, "batch, batch size 8")[1:]] == [
        *(61.0, 47.5, 35.0, 30.0, 25.0, 17.5)
    ]


def test_runs_that_the_lens_saw_with_other_settings_are_left_out(tmp_path: Path) -> None:
    row = {"axis": "statistics", "change": "none", "statistics": "running"}
    choice = {"batch_size": None, "alpha": None}
    for seed, images, accuracy in ((0, 20, 0.9), *((s, 5000, 0.5) for s in (1, 2, 3))):
        folder = make_run(tmp_path, 0.5, seed=seed)
        leave_lens(folder, {**row, **choice, "accuracy": accuracy}, common={"images": images})
    make_run(tmp_path, "diverged", seed=4)
    (block,) = blocks(runs(tmp_path), CHOICES.by)
    section = lens_section(block, 0.95, "")
    assert section is not None
    assert section.words[0].startswith("4 of 5 runs were seen")
    assert all("diverged" not in row[0] for table in section.tables for row in table.rows)
    assert section.words[1].startswith("1 of them had other settings")
    assert section.tables[0].rows == [["batch, batch size 8", "50.0 [50.0, 50.0]"]]


def test_every_run_is_there_with_its_command(folder: Path, markdown: str) -> None:
    commands = re.findall(r"normexp train norm=\w+ batch_size=\d+ seed=\d", markdown)
    assert len(set(commands)) == 27
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert len(records) == 27
    assert {record["command"] for record in records} == set(commands)
    assert {"norm", "batch_size", "seed", "accuracy_contrast_5"} <= set(records[0])
    assert "optimizer.lr" not in records[0]  # the same everywhere


def test_the_csv_file_has_the_numbers_in_full(folder: Path) -> None:
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        cells = {(each["norm"], each["batch_size"]): each for each in csv.DictReader(file)}
    assert len(cells) == 11
    both = cells["both", "8"]
    assert float(both["accuracy_mean"]) == pytest.approx(71 + 0.8 / 3)
    assert float(both["difference_mean"]) == pytest.approx(10)
    assert (both["reference"], both["difference_n"]) == ("batch", "3")
    lost = cells["instance", "128"]
    # Chance, as there are ten classes of equally many test images.
    assert (lost["runs"], lost["diverged"], lost["accuracy_mean"]) == ("3", "3", "10.0")


def test_the_latex_tables_are_escaped_and_whole(folder: Path) -> None:
    text = (folder / "report.tex").read_text(encoding="utf-8")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") >= 6
    assert r"batch & \textbf{61.3 [58.6, 63.9]} & \textbf{60.2 (1 seed)} &" in text
    for each in text.splitlines()[1:]:  # after the comment on packages
        if not each.startswith(r"\label"):
            assert not re.search(r"(?<!\\)(?:[#_]|%(?!$))", each), each
    assert "−" not in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX on this machine")
def test_the_latex_tables_compile(folder: Path, tmp_path: Path) -> None:
    begin = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
    content = (folder / "report.tex").read_text(encoding="utf-8")
    (tmp_path / "main.tex").write_text(f"{begin}\n{content}\n\\end{{document}}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").exists()


def test_captions_differ_in_the_latex_file(tmp_path: Path) -> None:
    for contrast in ("none", "jitter"):
        make_study(tmp_path, ["batch", "both"], [8], 3, found, contrast=contrast)
    write_report(runs(tmp_path), CHOICES, Heading("All", None, ""), tmp_path / "report")
    text = (tmp_path / "report" / "report.tex").read_text(encoding="utf-8")
    captions = re.findall(r"^\\caption{(.+)}$", text, flags=re.MULTILINE)
    labels = re.findall(r"^\\label{(.+)}$", text, flags=re.MULTILINE)
    assert len(captions) == len(set(captions)) == len(set(labels)) >= 12


def test_every_figure_is_there_as_svg_and_pdf(folder: Path, markdown: str) -> None:
    named = re.findall(r"!\[([^]]+)\]\(figures/(\w+)\.svg\)", markdown)
    names = {name for _, name in named}
    assert names == {
        *("accuracy", "contrast", "curves_images", "curves_seconds", "gate", "lens_contrast"),
    }
    assert all(len(alternative) > 30 for alternative, _ in named)
    for name in names:
        assert ET.parse(folder / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
        pdf = (folder / "figures" / f"{name}.pdf").read_bytes()
        # 4.4 inches of 72 points.
        assert re.search(rb"/MediaBox \[ 0 0 316\.8 ", pdf)


def test_the_figure_of_the_answer_is_there_for_dark_pages_too(folder: Path) -> None:
    light, dark = (
        (folder / "figures" / f"accuracy{what}.svg").read_text(encoding="utf-8")
        for what in ("", "_dark")
    )
    assert INK in light
    assert INK not in dark
    assert light.replace(INK, INK_ON_DARK) == dark
    assert COLOURS[0] in dark


def test_other_settings_make_parts_with_files_of_their_own(tmp_path: Path) -> None:
    for contrast in ("none", "jitter"):
        make_study(tmp_path, ["batch", "both"], [8], 2, found, contrast=contrast)
    page = write_report(runs(tmp_path), CHOICES, Heading("All", None, ""), tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "<h3>contrast=jitter</h3>" in text
    assert "<h3>contrast=none</h3>" in text
    assert "Contrast augmentation jitter, against no augmentation: " in text
    assert "Figure and table are of contrast=none" in text
    names = {file.name for file in (tmp_path / "report" / "figures").glob("*accuracy.svg")}
    assert names == {"part1_accuracy.svg", "part2_accuracy.svg"}
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_study_of_which_nothing_has_finished_has_a_page_too(tmp_path: Path) -> None:
    make_run(tmp_path, "unfinished", seed=0)
    make_run(tmp_path, "diverged", seed=1)
    page = write_report(runs(tmp_path), CHOICES, Heading("All", None, ""), tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "0 of 2 runs have a test accuracy." in text
    assert "1 of 2 unfinished" in text or "1 unfinished, 1 diverged" in text


def test_parts_that_one_setting_tells_apart_are_compared_by_it(tmp_path: Path) -> None:
    for seed in range(2):
        for epochs in (3, 6):
            make_run(tmp_path, 0.5, seed=seed, epochs=epochs)
    write_report(runs(tmp_path), CHOICES, Heading("All", None, ""), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "the other parts are below; normexp report by=[epochs,batch_size] compares them." in text
