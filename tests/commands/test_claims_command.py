"""`normexp claims` from the command line to its page, and the claims and studies that we ship."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from helpers.made import made, make_run, make_study
from helpers.ship import ship
from helpers.typed import normexp
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from normexp import build
from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.measured import write_measured
from normexp.analysis.claims.planned import Planned, planned
from normexp.analysis.claims.read import read_claim
from normexp.analysis.claims.side import Side
from normexp.analysis.claims.verdict import judge_claim
from normexp.analysis.evidence import Evidence
from normexp.commands.claims import about, further_of, tuning_seconds
from normexp.runs.files import read_record
from normexp.runs.record import Measurement, Measurements
from normexp.tuned import Tuned, key_of

Compose = Callable[..., DictConfig]
Settings = Mapping[str, Any]

CONF = Path(build.conf_dir())
FILES = sorted(CONF.glob("claims/*.yaml"))
CLAIMS = [read_claim(f.stem, OmegaConf.to_container(OmegaConf.load(f))) for f in FILES]
STUDIES = sorted({claim.study for claim in CLAIMS if claim.study})
SLOW_FORMS = [pytest.param(f"{study}_full", marks=pytest.mark.slow) for study in STUDIES]
WIDTHS = "model.network.widths=[8,8,8,8,8,8]"
SMALL = ("data=generated", "data.source.num_train=300", "data.source.num_test=10", WIDTHS)


@pytest.fixture(autouse=True)
def _ships_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(monkeypatch, tmp_path_factory.mktemp("ship") / "ship.xz", [])


@cache
def cells(study: str) -> tuple[tuple[dict[str, Any], ...], str]:
    """What each cell of a study overrides, as values, and the comments at its file's top."""
    path = CONF / "experiment" / f"{study}.yaml"
    file = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(file, dict)
    params = file["hydra"]["sweeper"]["params"]
    overrides = OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()])
    (found,) = BasicSweeper.split_arguments(overrides, None)
    typed = [dict(override.split("=", 1) for override in cell) for cell in found]
    values = tuple({k: OmegaConf.create(f"v: {v}").v for k, v in cell.items()} for cell in typed)
    return values, path.read_text(encoding="utf-8")


def test_there_are_nineteen_claims() -> None:
    assert [claim.name for claim in CLAIMS] == [f"c{i:02}" for i in range(1, 20)]


@pytest.mark.parametrize("study", [*STUDIES, *SLOW_FORMS])
def test_a_study_has_the_runs_that_its_file_says(study: str) -> None:
    found, text = cells(study)
    typed = rf"# normexp train -m experiment={study}(?: optimizer\.lr=tuned)? {{2,}}"
    told = re.search(typed + r"(\d+) runs, .*about \d.* (minutes|hours) on (two cores|a GPU)", text)
    assert told is not None
    assert len(found) == int(told[1])
    assert OmegaConf.create(text).study == study
    # An hour holds about 110 runs of ten epochs on two cores; small batches take longer.
    assert study.endswith("_full") or len(found) <= 200
    assert {cell["seed"] for cell in found} >= set(range(8))


@pytest.mark.parametrize("study", [*STUDIES, *SLOW_FORMS])
def test_a_study_s_last_cell_composes_and_its_parts_exist(study: str, compose: Compose) -> None:
    found, _ = cells(study)
    build.run_spec(compose(f"experiment={study}", *(f"{k}={v}" for k, v in found[-1].items())))
    for group in {key for key in found[0] if (CONF / key).is_dir()}:
        missing = {cell[group] for cell in found} - {f.stem for f in CONF.glob(f"{group}/*.yaml")}
        assert not missing


@pytest.fixture(scope="module")
def of_study(compose: Compose) -> Callable[[str], Settings]:
    """The settings that all cells of a study share, as a row has them."""
    return cache(lambda study: build.run_spec(compose(f"experiment={study}"))[0].factors)


@pytest.mark.parametrize("form", ["", pytest.param("_full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.study], ids=lambda c: c.name)
def test_each_side_of_a_claim_is_one_cell_of_its_study(
    claim: Claim, form: str, of_study: Callable[[str], Settings]
) -> None:
    found, _ = cells(f"{claim.study}{form}")
    common = of_study(f"{claim.study}{form}")
    settings = [{**common, **cell} for cell in found if cell["seed"] == 0]
    for comparison in planned(claim):
        for side in sides(comparison):
            if comparison.is_measured:
                continue
            fitting = [cell for cell in settings if selects(side, cell)]
            choices = {cell.get(str(comparison.tuned or side.measure.among)) for cell in fitting}
            assert len(fitting) == len(choices) > 0, f"{side}: {len(fitting)} cells"


def sides(comparison: Planned) -> list[Side]:
    """Both sides, and what is taken off either."""
    found = [each for each in (comparison.first, comparison.second) if isinstance(each, Side)]
    return found + [side.less for side in found if side.less]


def selects(side: Side, cell: Settings) -> bool:
    return all(key == "measure" or cell.get(key) == v for key, v in side.selection.items())


def test_every_measured_side_is_measured() -> None:
    for claim in CLAIMS:
        measured = [comparison for comparison in planned(claim) if comparison.is_measured]
        if claim.measurement is None:
            assert not measured, claim.name
            continue
        found = [cell for cell, seed in claim.measurement.networks() if seed == 0]
        for side in (side for comparison in measured for side in sides(comparison)):
            fitting = [cell for cell in found if selects(side, cell)]
            assert len(fitting) == 1, f"{claim.name}: {side}"


def test_without_runs_each_claim_has_a_line_and_a_command_that_makes_its_runs(
    tmp_path: Path, compose: Compose
) -> None:
    answer = normexp(tmp_path, "claims")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()[1:]
    assert [line.split()[:3] for line in lines if line.startswith("c")] == [
        [claim.name, "NOT", "RUN"] for claim in CLAIMS
    ]
    typed = {line.strip() for line in lines if line.startswith("     normexp ")}
    assert len(typed) > len(STUDIES)
    for command in typed:
        program, word, *arguments = shlex.split(command, comments=True)
        assert word not in ("tune", "train") or re.search(r"  # .*runs, .*on two cores$", command)
        assert program == "normexp"
        if word == "train":
            assert arguments.pop(0) == "-m"
            rates = [each for each in arguments if each.startswith("optimizer.lr=")]
            assert rates in ([], ["optimizer.lr=tuned"])
            build.run_spec(compose(*(each for each in arguments if each not in rates)))
        elif word == "tune":
            build.run_spec(compose(*arguments))
        elif word == "claims":
            assert arguments[0].removeprefix("claim=") in {claim.name for claim in CLAIMS}
            assert arguments[1:] == ["measure=true"]
        else:
            assert word == "evaluate"
            assert arguments[0].removeprefix("study=") in STUDIES


def test_what_is_typed_for_training_is_part_of_the_commands(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "claims", "claim=c05", "form=full", "data=generated", "epochs=1")
    of_training = "experiment=batch_sizes_full data=generated epochs=1"
    assert [line.strip() for line in answer.out.splitlines()[2:4]] == [
        f"normexp tune {of_training}", f"normexp train -m {of_training} optimizer.lr=tuned",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("c05", "until=decided"),
        ("c19", "seed=0,1,2,3"),  # batch norm and batch norm
        ("c18", "seed=0,1,2,3"),  # validation accuracy
    ],
)
def test_seeds_are_named_where_no_test_accuracies_of_norms_are_compared(
    name: str, added: str
) -> None:
    (claim,) = (each for each in CLAIMS if each.name == name)
    selected = [side.selection for each in planned(claim) for side in sides(each)]
    cells: list[dict[str, Any]] = [
        {k: v for k, v in each.items() if k != "measure"} for each in selected
    ]
    rows = [
        made(
            0.5 + 0.1 * (i * seed % 3), seed=seed, **{k.replace(".", "__"): v for k, v in c.items()}
        )
        for i, c in enumerate(c for j, c in enumerate(cells) if c not in cells[:j])
        for seed in range(3)
    ]
    (further,) = further_of(judge_claim(claim, rows))
    assert further.startswith(added)


def test_runs_that_cannot_be_told_apart_leave_their_claim_open_and_the_others_judged(
    tmp_path: Path,
) -> None:
    made_at: dict[str, Any] = {"batch_size": 2, "study": "batch_sizes"}
    for norm in ("batch", "instance"):
        make_run(tmp_path / "outputs", 0.5, norm=norm, lr=0.1, **made_at)
    make_run(tmp_path / "outputs", 0.6, norm="batch", lr=0.4, **made_at)
    answer = normexp(tmp_path, "claims", "claim=[c05,c08]")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert any(line.startswith("c05  OPEN  ") for line in lines)
    assert "It cannot be judged: " in answer.out
    assert "have one seed and differ in optimizer.lr" in " ".join(answer.out.split())
    assert any(line.startswith("c08  NOT RUN") for line in lines)


def test_of_a_claim_with_chosen_rates_the_runs_at_these_are_judged(tmp_path: Path) -> None:
    claim = next(each for each in CLAIMS if each.name == "c05")
    rows = [
        made(value, norm=norm, lr=lr, seed=seed, batch_size=2)
        for norm, lr, value in (("batch", 0.1, 0.5), ("batch", 0.4, 0.6), ("instance", 0.4, 0.4))
        for seed in range(3)
    ]
    rows = [replace(row, studies=("batch_sizes",)) for row in rows]
    tuned = [Tuned("", key_of(rows[0].spec), 0.4, False, ())]
    kept = about(claim, Evidence([tmp_path], rows, tuned), "")
    assert [row.factors["optimizer.lr"] for row in kept] == [0.4] * 6


def test_what_was_measured_in_two_folders_is_one_measurement(tmp_path: Path) -> None:
    outputs = [tmp_path / "one", tmp_path / "two"]
    for place, value in zip(outputs, (0.25, 0.5), strict=True):
        row = Measurement({"norm": "batch"}, 0, {"spread": value})
        write_measured(place, Measurements("c15", "normexp claims", (row,)))
    (found,) = Evidence(outputs, [], []).measured("c15")
    assert found.values == {"spread": 0.25}


def test_the_time_has_the_trials_of_cells_without_a_chosen_rate() -> None:
    rows = [made(0.5, norm=norm, seed=seed) for norm in ("batch", "both") for seed in (0, 1)]
    tuned = Tuned("", key_of(rows[0].spec), 0.1, False, ())
    # Five rates on a seed, two of them on two more, six seconds each.
    assert tuning_seconds(rows, []) == 2 * 9 * 6
    assert tuning_seconds(rows, [tuned]) == 9 * 6
    assert tuning_seconds(rows[:2], [tuned]) == 0


def test_a_line_is_at_most_a_hundred_letters_but_for_commands(tmp_path: Path) -> None:
    make_study(
        tmp_path / "outputs", ["instance", "batch"], [2, 8], 2, lambda *_: 0.5, "batch_sizes"
    )
    answer = normexp(tmp_path, "claims")
    lines = [line for line in answer.out.splitlines() if not line.startswith("     normexp ")]
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("c05  OPEN  ") for line in lines)
    assert "of training, by the runs that finished" in " ".join(answer.out.split())


@pytest.mark.slow
def test_a_measurement_is_carried_out_kept_and_judged(tmp_path: Path) -> None:
    arguments = ("claim=c15", "measure=true", *SMALL)
    answer = normexp(tmp_path, "claims", *arguments)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[1].startswith("c15  DEPENDS (exact)  ")
    assert "As claimed for norm: batch; not as claimed for norm: instance." in answer.out
    kept = read_record(tmp_path / "outputs" / "claims" / "c15.json", Measurements)
    assert len(kept.rows) == 2 * 8
    assert shlex.split(kept.command) == ["normexp", "claims", *arguments]
    # Judging reads what was kept.
    assert "\nc15  DEPENDS (exact)  " in normexp(tmp_path, "claims", "claim=c15").out


def test_a_damaged_measurement_is_told(tmp_path: Path) -> None:
    file = tmp_path / "outputs" / "claims" / "c15.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"rows": []}')
    answer = normexp(tmp_path, "claims", "claim=c15")
    assert answer.code == 1
    assert "c15.json is damaged" in answer.err
    assert "measure again" in answer.err
    assert answer.err.count("\n") == 1


def test_runs_are_judged_by_their_study_and_shown_on_the_page(tmp_path: Path) -> None:
    def found(norm: str, _: int, seed: int) -> float:
        return {"instance": 0.8, "batch": 0.7}[norm] + 0.001 * (1 - 2 * (seed % 2))

    outputs = tmp_path / "outputs"
    make_study(outputs, ["instance", "batch"], [2, 8], 8, found, study="batch_sizes")
    answer = normexp(tmp_path, "claims", "claim=[c05,c04]")
    assert answer.code == 0, answer.err
    line = answer.out.splitlines()[0]
    assert line.startswith("c05  SUPPORTED (decided)  At small batch sizes ")
    digest = hashlib.sha256((CONF / "claims" / "c05.yaml").read_bytes()).hexdigest()[:8]
    assert f"Judged by the file {digest} of 20" in answer.out
    page = (tmp_path / "outputs" / "claims" / "index.html").read_text(encoding="utf-8")
    assert page.count("<summary") >= 2
    (run,) = outputs.glob("runs/cnn-instance-b2-none-s0-*")
    assert f'href="../runs/{run.name}"' in page
    assert "10.0 % [10.0, 10.0]" in page
    text = (tmp_path / "outputs" / "claims" / "claims.md").read_text(encoding="utf-8")
    assert "c05 SUPPORTED (decided): At small batch sizes instance norm beats batch norm" in text


def test_a_claim_of_one_s_own_is_a_file(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "claims" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text((CONF / "claims" / "c05.yaml").read_text().replace("batch_sizes", "quickstart"))
    answer = normexp(tmp_path, "claims", "claim=mine", "--config-dir", "conf")
    assert answer.code == 0, answer.err
    assert "normexp train -m experiment=quickstart" in answer.out


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["claim=c99"], "claim=c99: there is no such claim; did you mean c19?"),
        (["form=big"], "form=big: one of small, full is needed"),
        (["measure=2"], "measure=2: true or false is needed"),
        (["clam=c05"], "there is no setting 'clam'"),
        (["claim=c15", "measure=true", "norm=xyz"], "norm=xyz: there is no such choice"),
        (
            ["claim=c15", "measure=true", *SMALL, "data.limit=100"],
            "claims/c15.yaml: 4 batches of 32 are more images than the 90 for training",
        ),
    ],
)
def test_a_mistake_is_told_in_a_line(typed: list[str], told: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "claims", *typed)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"normexp: {told}")
    assert answer.err.count("\n") == 1


def test_a_claim_s_file_that_is_no_yaml_is_told(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "claims" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("claim: [a\nb: }")
    answer = normexp(tmp_path, "claims", "claim=mine", "--config-dir", "conf")
    assert answer.code == 1
    assert "mine.yaml: " in answer.err
    assert answer.err.count("\n") == 1


def test_judging_needs_no_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "normexp", "claims"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "scipy" in imported
    assert not imported & {"torch", "matplotlib"}
