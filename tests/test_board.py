"""What HParams of TensorBoard reads of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from normexp.board import experiment, session
from normexp.runs.spec import RunSpec

Specs = Callable[..., RunSpec]
KINDS = {
    api_pb2.DATA_TYPE_BOOL: "bool_value",
    api_pb2.DATA_TYPE_FLOAT64: "number_value",
    api_pb2.DATA_TYPE_STRING: "string_value",
}


def content(summary: Summary) -> HParamsPluginData:
    (value,) = summary.value
    return HParamsPluginData.FromString(value.metadata.plugin_data.content)


def columns(factors: Mapping[str, object]) -> dict[str, str]:
    infos = content(experiment(factors)).experiment.hparam_infos
    return {info.name: KINDS[info.type] for info in infos}


@pytest.fixture
def runs(spec_of: Specs) -> list[RunSpec]:
    small = ("data=generated", "data.source.num_train=20")
    more = ("data.limit=10", "data.red_scale=0.1", "steps=4", "norm=split", "model.after=flatten")
    return [spec_of(*small), spec_of(*small, *more), spec_of(*small, "model=resnet20")]


def test_a_column_has_one_type_and_no_value_where_there_is_none(runs: list[RunSpec]) -> None:
    kinds: dict[str, set[str]] = {}
    for run in runs:
        values = content(session(run.cell_name, run.factors)).session_start_info.hparams
        for key, value in values.items():
            assert value.string_value != "null"
            kinds.setdefault(key, set()).add(str(value.WhichOneof("kind")))
    assert {key for key, found in kinds.items() if len(found) > 1} == set()
    assert "data.limit" not in content(session("", runs[0].factors)).session_start_info.hparams


def test_every_run_declares_the_columns_of_the_others(runs: list[RunSpec]) -> None:
    for run in runs:
        declared = columns(run.factors)
        for other in runs:
            values = content(session("", other.factors)).session_start_info.hparams
            for key, value in values.items():
                if key in declared:
                    assert declared[key] == value.WhichOneof("kind"), key
        assert {"data.limit", "data.red_scale", "steps"} <= declared.keys()
