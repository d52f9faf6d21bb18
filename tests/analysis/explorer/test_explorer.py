"""The explorer: what it holds and draws is what the runs found; in a real browser too."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from helpers.browser import CHROMIUM, Seen, seen
from helpers.made import leave_lens, made, make_run, make_study
from helpers.rows import runs
from scipy import stats

from normexp.analysis.explorer.data import Source, explorer_data
from normexp.analysis.explorer.page import explorer_page
from normexp.analysis.literature import read_published
from normexp.analysis.measures import accuracy
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import compare_cells
from normexp.analysis.right_images import interval_of
from normexp.analysis.rows import Run
from normexp.analysis.setup import setup
from normexp.runs.plain import Plain

NORMS, SIZES, SEEDS = ("batch", "group", "instance"), (2, 8, 32), 6
CHANCE = 10.0  # of ten classes of as many images
SHARES = (1.0, 0.75, 0.5, 0.4, 0.3, 0.15)


def found(norm: str, batch_size: int, seed: int) -> float | str:
    if (norm, batch_size, seed) == ("group", 32, 5):
        return "diverged"
    drop = 0.2 if (norm, batch_size) == ("batch", 2) else 0.0
    return round(0.7 - 0.04 * NORMS.index(norm) - drop + 0.01 * ((7 * seed + batch_size) % 5), 4)


MANY = ("batch", "group", "instance", "mean", "split", "both", "dyt", "none")


def uneven(norm: str, batch_size: int, seed: int) -> float:
    drop = 0.3 if norm == "layer" else 0.02 * MANY.index(norm)
    return round(0.7 - drop + random.Random(f"{norm} {seed}").uniform(-0.01, 0.01), 4)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a grid with two contrast augmentations, and of small studies; one has a lens."""
    outputs = tmp_path_factory.mktemp("outputs")
    for contrast in ("none", "jitter"):
        make_study(outputs, NORMS, SIZES, SEEDS, found, "grid", contrast=contrast)
    for scale in (None, 10.0):
        make_study(outputs, ["batch", "group"], [4], 3, found, "scaled", data__red_scale=scale)
    make_study(outputs, MANY, [16], 10, uneven, "uneven")
    make_study(outputs, ["layer"], [16], 6, uneven, "uneven")
    make_study(outputs, ["batch", "group"], [4], 56, lambda *_: 0.5, "tuning_grid", data__limit=900)
    make_run(outputs, 0.6, "lone", norm="layer", batch_size=4)
    for mean in ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]):
        make_run(outputs, 0.6, "means", batch_size=4, data__mean=mean)
    make_study(outputs, ["none"], [4], 3, lambda *_: "diverged", "scaled")
    folder = make_run(outputs, 0.6, "lone", norm="dyt", batch_size=4)
    under = {"axis": "contrast", "statistics": "batch", "batch_size": 9, "alpha": None}
    leave_lens(
        folder,
        *(
            {**under, "change": "corruption" if share < 1 else "none", "level": share,
             "accuracy": 0.6 * share}
            for share in SHARES
        ),
    )  # fmt: skip
    return outputs


def mixed() -> list[Run]:
    """Runs of two machines in one cell, whose commands take the rate that is tuned."""
    found = []
    for norm, seed in itertools.product(("batch", "group"), range(6)):
        run = made(0.5, norm=norm, seed=seed, batch_size=64, lr=0.2)
        assert run.result is not None
        environment = replace(run.result.environment, device="cuda" if seed < 3 else "cpu")
        result = replace(run.result, environment=environment)
        command = f"{run.command} optimizer.lr=tuned"
        found.append(replace(run, result=result, command=command, studies=("mixed",)))
    return found


@pytest.fixture(scope="module")
def data(outputs: Path) -> Plain:
    every = [*runs(outputs), *mixed()]
    some = [run for run in every if "grid" not in run.studies or run.spec.batch_size != 2]
    sources = [Source("yours", "", every), Source("reference", "ship", some)]
    return explorer_data(sources, read_published(), 0.5, 0.95)


@pytest.fixture(scope="module")
def page(data: Plain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "explore.html"
    text = explorer_page(data, "Explore </script><b>", "made </script>")
    file.write_text(text, encoding="utf-8")
    return file


def percent(run: Run, severity: int) -> float:
    """What a run counts as, from its record."""
    if run.result is None or run.result.test is None:
        return CHANCE
    test = run.result.test
    return 100 * (test.contrast[str(severity)] if severity else test.accuracy)


def cell_of(every: list[Run], at: dict[str, str]) -> list[Run]:
    return [run for run in every if all(str(run.factors[key]) == at[key] for key in at)]


def test_every_cell_has_the_means_and_intervals_of_its_runs(data: Plain, outputs: Path) -> None:
    (grid,) = (s for s in data["sets"] if (s["study"], s["source"]) == ("grid", "yours"))
    every = [run for run in runs(outputs) if "grid" in run.studies]
    assert grid["factors"] == ["norm", "batch_size", "contrast"]
    assert len(grid["cells"]) == len(NORMS) * len(SIZES) * 2
    for cell in grid["cells"]:
        own = cell_of(every, cell["at"])
        assert cell["runs"] == len(own) == SEEDS
        for severity, spread in enumerate(cell["accuracy"]["running"]):
            values = [percent(run, severity) for run in own]
            low, high = stats.t.interval(0.95, SEEDS - 1, fmean(values), stats.sem(values))
            assert spread["mean"] == pytest.approx(fmean(values), abs=1e-4)
            ends = [max(low, 0), min(high, 100)]
            assert spread["interval"] == pytest.approx(ends, abs=1e-4)
        images = interval_of(own)
        assert (cell["images"] is None) == (images is None) == bool(cell["note"])
        curves = [[100 * e.val_accuracy for e in r.result.history] for r in own
                  if r.result and r.result.test]  # fmt: skip
        means = [fmean(epoch) for epoch in zip(*curves, strict=True)]
        assert [point["mean"] for point in cell["curve"]["y"]] == pytest.approx(means, abs=1e-4)
        assert "seed=0,1,2,3,4,5" in cell["command"]
        assert f"norm={cell['at']['norm']}" in cell["command"]


def test_every_grade_is_the_report_s(data: Plain, outputs: Path) -> None:
    every = [run for run in runs(outputs) if "grid" in run.studies]
    grid = data["sets"][0]
    assert set(grid["tables"]) == {"|".join(p) for p in itertools.permutations(grid["factors"], 2)}
    for by in (["norm", "batch_size"], ["batch_size", "contrast"]):
        parts = blocks(every, by)
        expected = {
            (each.block.title, str(each.series), str(each.column)): each.comparison
            for each in compare_cells(parts, None, 0.5)
        }
        for table in grid["tables"]["|".join(by)]:
            rows = table["grades"]["running"][0]["rows"]
            for (i, series), (j, column) in itertools.product(
                enumerate(table["series"]), enumerate(table["columns"])
            ):
                comparison = expected.pop((table["title"], series, column), None)
                if comparison is None:
                    assert rows[i][j] is None
                    continue
                assert rows[i][j]["text"] == comparison.text
                assert comparison.graded is not None
                assert rows[i][j]["mean"] == pytest.approx(comparison.graded.mean, abs=1e-4)
        assert not expected


def test_a_value_that_is_not_set_is_a_column(data: Plain) -> None:
    (scaled,) = (s for s in data["sets"] if (s["study"], s["source"]) == ("scaled", "yours"))
    (table,) = scaled["tables"]["norm|data.red_scale"]
    assert table["columns"] == ["null", "10"]
    for series, row in zip(table["series"], table["rows"], strict=True):
        for value, number in zip(table["columns"], row, strict=True):
            if (series, value) != ("none", "10"):  # has no run
                at = {"norm": series, "data.red_scale": value}
                assert scaled["cells"][number]["at"] == at


def test_an_end_that_is_infinite_is_none(data: Plain) -> None:
    (uneven,) = (s for s in data["sets"] if (s["study"], s["source"]) == ("uneven", "yours"))
    (table,) = uneven["tables"]["norm"]
    rows = dict(zip(table["series"], table["grades"]["running"][0]["rows"], strict=True))
    (few,) = rows["layer"]
    assert few["interval"] == [None, 0]  # decided, by fewer seeds than the intervals need
    assert few["text"] == "decided"


def test_a_set_says_what_was_trained_and_a_command_has_the_rate(data: Plain) -> None:
    (held,) = (s for s in data["sets"] if (s["study"], s["source"]) == ("mixed", "yours"))
    assert held["setup"] == setup(mixed())
    assert "pools runs 3 of fp32 on cuda" in held["setup"]["mixed cells"]
    assert [cell["lr"] for cell in held["cells"]] == ["0.2", "0.2"]
    assert all("optimizer.lr=0.2" in cell["command"] for cell in held["cells"])
    assert not any("tuned" in cell["command"] for cell in held["cells"])


def test_studies_of_trials_come_last(data: Plain) -> None:
    mine = [each for each in data["sets"] if each["source"] == "yours"]
    assert max(mine, key=lambda each: sum(cell["runs"] for cell in each["cells"])) is mine[-1]
    assert [each["study"] for each in mine if each["trials"]] == ["tuning_grid"]


def test_a_level_is_told_to_its_last_digit(data: Plain) -> None:
    assert "its 99.9 % interval" in explorer_page({**data, "level": 0.999}, "title", "made")


def test_statistics_of_the_test_batch_are_those_of_the_lens(data: Plain) -> None:
    (lone,) = (s for s in data["sets"] if (s["study"], s["source"]) == ("lone", "yours"))
    assert lone["statistics"] == ["running", "test batch"]
    means = [point["mean"] for point in lone["cells"][0]["accuracy"]["test batch"]]
    assert means == pytest.approx([60 * share for share in SHARES])
    assert data["sets"][0]["statistics"] == ["running"]


def test_the_page_asks_for_nothing_and_no_value_ends_its_script(page: Path, data: Plain) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "script-src 'sha256-" in text
    assert text.count("<script") == text.count("</script>") == 2
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    assert not re.findall(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    (held,) = re.findall(r'id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert json.loads(held) == json.loads(json.dumps(data))


def off(*series: str) -> str:
    return f"off={quote(json.dumps(series))}"


HASHES = (
    "",
    "source=yours&study=grid&view=over&by=norm&over=batch_size&contrast=jitter&severity=3",
    f"source=yours&study=grid&view=curve&by=batch_size&over=norm&norm=group&{off('8')}",
    "source=yours&study=grid&view=over&over=batch_size&contrast=none&published=group_norm",
    "source=both&study=grid&view=severity&batch_size=32&contrast=none",
    "source=yours&study=lone&statistics=test+batch",
)
UNFIT = "source=yours&study=grid&view=over&over=batch_size&published=group_norm"
MORE = {
    "augmented": f"{UNFIT}&contrast=jitter",
    "reduced": f"{UNFIT}&contrast=none&severity=3",
    "infinite": "source=yours&study=uneven",
    "unmeasured": f"source=yours&study=lone&statistics=test+batch&{off('dyt')}",
    "together": "source=both&study=grid",
    "apart": "source=both&study=grid&batch_size=2",
    "part": "source=yours&study=grid&view=curve&batch_size=32&contrast=none",
    "lost": "source=yours&study=scaled&view=curve&data.red_scale=null",
    "missing": "source=yours&study=scaled&view=over&over=data.red_scale",
    "mixed": "source=yours&study=mixed",
    "trials": "source=yours&study=tuning_grid",
    "unchecked": f"source=yours&study=lone&{off('dyt', 'layer')}",
}
PROBE = """<!doctype html><title>probe</title><pre></pre><script>
const all = (page, what) => [...page.querySelectorAll(what)];
const look = frame => {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const saved = [];
  view.save = (name, text) => saved.push(text);
  all(page, "[data-file]").forEach(button => button.click());
  return {
    hash: view.location.hash.slice(1), overflow: root.scrollWidth - root.clientWidth,
    points: all(page, "g[data-mean]").map(g => ({ ...g.dataset })),
    saved, csv: saved[1] ?? "",
    dashed: page.querySelectorAll("[stroke-dasharray]").length,
    small: all(page, "figure text").filter(t => t.getBoundingClientRect().height < 9).length,
    unnamed: all(page, "select, input, button")
      .filter(e => !(e.labels?.[0] ?? e).textContent.trim()).length,
    choices: Object.fromEntries(all(page, "select").map(s => [s.dataset.key, s.value])),
    panels: all(page, ".panel").map(panel => panel.textContent),
    said: page.getElementById("said").textContent,
    off: all(page, "#series input:not(:checked)").map(box => box.value),
    focused: page.activeElement?.dataset?.key, active: page.activeElement?.id,
    open: all(page, "#panels details[open]").map(details => details.textContent),
  };
};
const visit = (width, hash, then) => new Promise(done => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { width, height: 900, src: "explore.html#" + hash });
  frame.onload = async () => {
    await then?.(frame.contentDocument, frame.contentWindow);
    done(look(frame));
  };
  document.body.append(frame);
});
const choose = page => {
  const select = page.querySelector('[data-key="contrast"]');
  select.focus();
  select.value = "jitter";
  select.dispatchEvent(new Event("change", { bubbles: true }));
};
onload = async () => {
  const found = { seen: [] };
  for (const hash of HASHES)
    for (const width of [360, 1400]) found.seen.push(await visit(width, hash));
  for (const [name, hash] of Object.entries(MORE)) found[name] = await visit(1400, hash);
  found.typed = await visit(1400, "source=yours&study=grid", choose);
  found.comma = await visit(
    1400, "source=yours&study=means", page => page.querySelector("#series input").click());
  found.skipped = await visit(1400, "source=yours&study=grid&contrast=jitter", async page => {
    page.querySelector(".skip").click();
    await new Promise(done => setTimeout(done, 100));  // an event tells of a new address
  });
  found.resized = await visit(1400, "source=yours&study=grid", (page, view) => {
    const summary = page.querySelector("#panels summary");
    summary.parentElement.open = true;
    summary.id = "opened";
    summary.focus();
    view.dispatchEvent(new view.Event("resize"));
  });
  found.opened = await visit(1400, "source=yours&study=grid", page => {
    page.querySelector("#panels details").open = true;
    choose(page);
  });
  found.again = await visit(1400, found.typed.hash);
  document.querySelector("pre").textContent = JSON.stringify(found);
};
</script>"""
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    probe = PROBE.replace("HASHES", json.dumps(HASHES)).replace("MORE", json.dumps(MORE))
    return seen(page.parent, probe, tmp_path_factory.mktemp("scratch"))


@in_a_browser
def test_in_a_browser_every_drawn_value_is_the_runs_and_the_address_holds_the_choices(
    browser: Seen, outputs: Path
) -> None:
    answer = browser
    assert answer.console == []
    assert answer.foreign == []
    checked = 0
    every = runs(outputs)
    for hash_, at in zip([h for h in HASHES for _ in range(2)], answer.answer["seen"], strict=True):
        assert at["overflow"] <= 0, hash_
        assert (at["small"], at["unnamed"]) == (0, 0), hash_
        ElementTree.fromstring(at["saved"][0])  # what is saved is a file of its own
        rows = table_of(at)
        panels = (
            2 if at["choices"].get("runs") == "both" or at["choices"]["source"] == "both" else 1
        )
        assert len(at["points"]) == panels * len(rows)
        for point, row in zip(at["points"], rows, strict=False):
            assert (point["mean"], point["x"]) == (row["mean"], row["x"])
            keys = [key for key in ("norm", "batch_size", "contrast") if row.get(key)]
            own = cell_of(
                [r for r in every if row["study"] in r.studies], {k: row[k] for k in keys}
            )
            expected = drawn(own, at["choices"], row["x"])
            assert float(row["mean"]) == pytest.approx(expected, abs=1e-4), row
            assert row["command"].startswith("normexp train -m")
            checked += 1
    assert checked >= 100
    assert answer.answer["seen"][6]["dashed"] == 2  # batch and group norm, published
    typed, again = answer.answer["typed"], answer.answer["again"]
    assert typed["choices"]["contrast"] == "jitter"
    assert typed["focused"] == "contrast"
    assert "contrast=jitter" in typed["hash"]
    assert (again["hash"], again["points"]) == (typed["hash"], typed["points"])


@in_a_browser
def test_in_a_browser_an_infinite_end_is_told_as_such(browser: Seen) -> None:
    at = browser.answer["infinite"]
    (few, *_) = (row for row in table_of(at) if row["norm"] == "layer")
    assert (few["difference_low"], few["difference_high"]) == ("-inf", "0")
    assert "[−∞, 0.00)" in at["panels"][0]


@in_a_browser
def test_in_a_browser_a_choice_without_values_is_told(browser: Seen) -> None:
    for name, words in (
        ("unmeasured", "No run has this: test batch statistics."),
        ("unchecked", "No norm is checked."),
    ):
        at = browser.answer[name]
        assert (at["points"], at["saved"]) == ([], [])
        assert words in at["panels"][0]
        assert words in at["said"]
    said = browser.answer["typed"]["said"]
    assert "contrast=jitter" in said
    assert said.endswith("18 values are drawn.")


@in_a_browser
def test_in_a_browser_published_numbers_are_not_drawn_over_runs_of_other_settings(
    browser: Seen,
) -> None:
    for name in ("augmented", "reduced"):
        assert browser.answer[name]["dashed"] == 0
        assert "published" not in browser.answer[name]["choices"]


@in_a_browser
def test_in_a_browser_panels_side_by_side_show_the_same_cells(browser: Seen) -> None:
    together, apart = browser.answer["together"], browser.answer["apart"]
    assert "batch_size=8" in together["hash"]  # the first that both have
    assert all("batch_size=8" in words for words in together["panels"])
    assert len(together["points"]) == 2 * len(NORMS) * 6
    assert apart["choices"]["batch_size"] == "2"
    assert len(apart["points"]) == len(NORMS) * 6
    assert "No run has this: contrast=none batch_size=2" in apart["panels"][1]


@in_a_browser
def test_in_a_browser_a_series_with_a_comma_is_unchecked(browser: Seen) -> None:
    assert browser.answer["comma"]["off"] == ["[0.1,0.2,0.3]"]
    assert {point["series"] for point in browser.answer["comma"]["points"]} == {"[0.5,0.5,0.5]"}


@in_a_browser
def test_in_a_browser_the_link_to_the_curves_keeps_the_choices(browser: Seen) -> None:
    skipped = browser.answer["skipped"]
    assert "contrast=jitter" in skipped["hash"]
    assert (skipped["choices"]["contrast"], skipped["active"]) == ("jitter", "panels")


@in_a_browser
def test_in_a_browser_what_is_open_stays_open(browser: Seen) -> None:
    resized, opened = browser.answer["resized"], browser.answer["opened"]
    assert resized["active"] == "opened"
    for at in (resized, opened):
        (words,) = at["open"]
        assert "make these 3 cells again" in words
    assert "contrast=jitter" in opened["hash"]


@in_a_browser
def test_in_a_browser_what_a_curve_leaves_out_is_told(browser: Seen) -> None:
    part, lost, missing = (browser.answer[name] for name in ("part", "lost", "missing"))
    assert "group: mean over the 5 of 6 runs that finished." in part["panels"][0]
    told = {(row["norm"], row["n"], row["runs"]) for row in table_of(part)}
    assert told == {("batch", "6", "6"), ("group", "5", "6"), ("instance", "6", "6")}
    assert {row["norm"] for row in table_of(lost)} == {"batch", "group"}
    assert "none: 3 of 3 diverged." in lost["panels"][0]
    assert "none at data.red scale 10: no run." in missing["panels"][0]


@in_a_browser
def test_in_a_browser_a_file_says_what_it_holds(browser: Seen) -> None:
    over, curve, lens = (browser.answer["seen"][2 * i + 1] for i in (1, 2, 5))
    keys = ("view", "x_name", "severity", "statistics", "measure", "reference")
    for at, expected in (
        (over, ("over", "batch_size", "3", "running", "test accuracy, %", "batch")),
        (curve, ("curve", "training images seen", "", "", "validation accuracy, %", "")),
    ):
        assert {tuple(row[key] for key in keys) for row in table_of(at)} == {expected}
    assert [(row["severity"], row["x"]) for row in table_of(lens)] == [(k, k) for k in "012345"]
    text = [*ElementTree.fromstring(over["saved"][0]).itertext()]
    fixed = "contrast=jitter, running statistics, contrast severity 3"
    assert fixed in over["panels"][0]
    assert f"yours: grid, {fixed}" in text
    assert set(NORMS) <= set(text)  # the legend
    published = browser.answer["seen"][7]
    for words in (published["panels"][0], published["saved"][0]):
        assert "dashed: published, " in words


@in_a_browser
def test_in_a_browser_trials_are_told_as_such(browser: Seen) -> None:
    (words,) = browser.answer["trials"]["panels"]
    assert words.startswith("yours: tuning_grid (trials of learning rates)")


@in_a_browser
def test_in_a_browser_rates_and_mixed_cells_are_told(browser: Seen) -> None:
    at = browser.answer["mixed"]
    (words,) = at["panels"]
    for told in ("mixed cells: ", "pools runs 3 of fp32 on cuda", "learning rate 0.2", "budget"):
        assert told in words
    assert "Warning: one learning rate for all norms" in words
    assert {row["learning_rate"] for row in table_of(at)} == {"0.2"}


def table_of(at: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(at["csv"])))


def drawn(own: list[Run], choices: dict[str, str], x: str) -> float:
    """What stands at a place, from the records."""
    if choices.get("statistics") == "test batch":
        return 60 * SHARES[int(x)]
    if choices["view"] == "curve":
        ended = [run.result for run in own if accuracy(run) is not None and run.result]
        return fmean(
            100 * epoch.val_accuracy
            for result in ended
            for epoch in result.history
            if epoch.images == float(x)
        )
    severity = int(choices["severity"]) if choices["view"] == "over" else int(x)
    return fmean(percent(run, severity) for run in own)
