"""Runs that commit f186aea made are read, and found by the commands that made them.

`records/f186aea` holds their small files as that commit wrote them.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from normexp.runs.catalogue import catalogue, read_entry
from normexp.runs.files import read_record
from normexp.runs.folder import RunFolder
from normexp.runs.record import Measurements
from normexp.runs.spec import NUMERICS, RunSpec

Specs = Callable[..., RunSpec]
RECORDS = Path(__file__).parent / "records" / "f186aea"
FINISHED = "cnn-both-b9-none-s0-a631f094"
UNEQUAL_INPUTS = "cnn-instance-b9-none-s0-7a675efe"
DIVERGED = "cnn-none-b9-none-s1-101b5086"
MUON = "cnn-batch-b9-none-s0-9c61fb53"
NAMES = (FINISHED, UNEQUAL_INPUTS, DIVERGED, MUON)


def folder(name: str) -> RunFolder:
    return RunFolder(RECORDS / "runs" / name)


def raw(name: str, file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RECORDS / "runs" / name / file).read_text())
    assert "format" not in loaded
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_what_was_asked_is_read(name: str) -> None:
    record, plain = folder(name).record(), raw(name, "run.json")
    settings = plain["settings"]
    assert (record.command, list(record.studies)) == (plain["command"], plain["studies"])
    spec = record.spec
    assert (spec.seed, spec.batch_size, spec.epochs) == (settings["seed"], 9, 2)
    assert spec.norm.layer == settings["norm"]["layer"]
    assert spec.data.source == settings["data"]["source"]
    assert spec.optimizer.lr == settings["optimizer"]["lr"]
    former = settings["optimizer"]["algorithm"]
    # f186aea's own SGD gave the bits of torch's fused one, which has taken its place.
    sgd = {"_target_": "torch.optim.SGD", "fused": True}
    new = {"ns_steps": 3} if name == MUON else sgd
    assert name == MUON or former["_target_"] == "normexp.engine.sgd.SGD"
    assert spec.optimizer.algorithm == {**former, **new}
    assert (spec.numerics, spec.kernels) == (1, "auto")


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_is_read(name: str) -> None:
    result, plain = folder(name).result(), raw(name, "result.json")
    assert result is not None
    assert result.outcome == plain["outcome"]
    assert (result.steps, result.parameters) == (plain["steps"], plain["parameters"])
    assert list(result.classes) == plain["classes"]
    assert [row.val_loss for row in result.history] == [r["val_loss"] for r in plain["history"]]
    assert result.timing.seconds == plain["timing"]["seconds"]
    assert result.readings == plain["readings"]
    assert {key: values.sd for key, values in result.layers.items()} == {
        key: values["sd"] for key, values in plain["layers"].items()
    }
    assert result.environment.torch == plain["environment"]["torch"]
    assert plain["environment"]["norms"] == "kernels"
    assert result.environment.kernels == "compiled"


def test_a_test_with_unequal_inputs_is_read() -> None:
    result, plain = folder(UNEQUAL_INPUTS).result(), raw(UNEQUAL_INPUTS, "result.json")
    assert result is not None
    test = result.test
    assert test is not None
    assert (test.accuracy, test.contrast) == (plain["test"]["accuracy"], plain["test"]["contrast"])
    assert test.mode_gap.images == plain["test"]["mode_gap"]["images"]
    assert test.by_gain is not None
    assert list(test.by_gain.gradient_norm) == plain["test"]["by_gain"]["gradient_norm"]
    assert test.without_channel == plain["test"]["without_channel"]


def test_a_diverged_run_has_no_test() -> None:
    result = folder(DIVERGED).result()
    assert result is not None
    assert result.test is None
    assert read_entry(folder(DIVERGED)).state == "diverged"


def test_the_lens_is_read() -> None:
    lens, plain = folder(FINISHED).lens(), raw(FINISHED, "lens.json")
    assert lens is not None
    assert list(lens.rows) == plain["rows"]
    assert lens.settings == plain["settings"]
    assert lens.environment.kernels == "compiled"
    assert folder(DIVERGED).lens() is None


def test_a_claim_s_measurements_are_read() -> None:
    file = RECORDS / "claims" / "c15.json"
    found, plain = read_record(file, Measurements), json.loads(file.read_text())
    assert (found.claim, found.command) == ("c15", plain["command"])
    assert [row.values for row in found.rows] == [row["values"] for row in plain["rows"]]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_command_names_another_run_since_the_numerics_were_raised(
    name: str, spec_of: Specs
) -> None:
    record = folder(name).record()
    _, word, *overrides = shlex.split(record.command)
    assert word == "train"
    spec = spec_of(*overrides)
    assert (record.spec.numerics, spec.numerics) == (1, NUMERICS)
    assert {**spec.factors, "numerics": 1} == record.spec.factors
    assert spec.name != record.spec.name


def test_reading_writes_nothing(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(RECORDS, outputs)
    damaged = outputs / "runs" / "damaged"
    shutil.copytree(outputs / "runs" / FINISHED, damaged)
    for name in ("result.json", "lens.json", "failure.json"):
        (damaged / name).write_text("{}")
    files = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in outputs.rglob("*.json")}
    everything = sorted(outputs.rglob("*"))
    for entry in catalogue(outputs):
        entry.folder.failure()
        entry.folder.is_finished()
        if entry.folder.path != damaged:
            entry.folder.lens()
    assert len(catalogue(outputs)) == 5
    assert sorted(outputs.rglob("*")) == everything
    for file, (content, modified) in files.items():
        assert (file.read_bytes(), file.stat().st_mtime_ns) == (content, modified)
