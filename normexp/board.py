"""Messages for TensorBoard besides curves: factors, metrics, layout, text, image.

Without torch and without TensorFlow. A tag is the name of a curve.
"""

import json
import re
from collections.abc import Iterable, Mapping

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.util.tensor_util import make_tensor_proto

from normexp.errors import visible
from normexp.kinds import Flag, Kind, Number, Part
from normexp.settings import RUN


def _type_of(kind: Kind) -> int:
    if isinstance(kind, Flag):
        return int(api_pb2.DATA_TYPE_BOOL)
    is_number = isinstance(kind, Number)
    return int(api_pb2.DATA_TYPE_FLOAT64 if is_number else api_pb2.DATA_TYPE_STRING)


METRICS: Mapping[str, str] = {
    "test/accuracy": "test accuracy",
    "test/accuracy_contrast_5": "at contrast 5",
    "test/gap": "train − test accuracy",
    "val/accuracy": "val accuracy",
    "cost/seconds": "seconds",
    "cost/images_per_second": "images/s",
}
"""The columns of HParams; it shows the first five until the user chooses others."""

TYPES = {
    setting.key.removesuffix(".name"): _type_of(setting.kind)
    for setting in RUN
    if not isinstance(setting.kind, Part)
}
"""The type of each column, also where a run has no value."""

FACTORS = ("norm", "batch_size", "contrast", "model", "optimizer.lr")
"""The settings that HParams shows until the user chooses others."""

# By chart: one curve with the interval over seeds for each cell.
OF_CELLS = {
    "test accuracy by contrast severity": "contrast/accuracy",
    "val accuracy by step": "val/accuracy",
    "val accuracy by images seen": "by_images/val/accuracy",
    "train loss by step": "train/loss",
}
# By chart: the curves of all runs that match.
OF_RUNS = {
    "test accuracy by contrast severity": "^contrast/accuracy$",
    "val accuracy": "^val/accuracy$",
    "train and val loss": "^(train|val)/loss$",
    "gates: 1 is batch norm, 0 instance norm": "^gate/",
    "length of the gradient": "^train/gradient_norm$",
}


def session(cell: str, factors: Mapping[str, object], began: float | None = None) -> Summary:
    """Return the factors of a run, which `began` at seconds since 1970 or now, for HParams.

    Runs of one `cell` share a row, in which TensorBoard shows the mean of their metrics.
    """
    values = {
        key: _value(value)
        for key, value in factors.items()
        if key != "seed" and value is not None  # HParams has cells without a value
    }
    return summary_v2.hparams_pb(values, trial_id=cell, start_time_secs=began)


def experiment(factors: Mapping[str, object]) -> Summary:
    """Return which columns HParams has; TensorBoard takes them from any one run."""
    types = {**{key: _type(value) for key, value in factors.items()}, **TYPES}
    columns = [
        # Without a domain: one run does not know what values the others have.
        api_pb2.HParamInfo(name=key, type=kind, differs=key in FACTORS)
        for key, kind in types.items()
        if key != "seed" and key.count(".") < 2  # deeper ones would bury the rest
    ]
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name)
        for tag, name in METRICS.items()
    ]
    content = api_pb2.Experiment(hparam_infos=columns, metric_infos=metrics)
    return _hparams(hparams_metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=content))


def session_end(outcome: str, seconds: float) -> Summary:
    """Return that a run has ended, at `seconds` since 1970; one that diverged counts as failed.

    TensorBoard never takes a failure back, so a run that was stopped gets no end.
    """
    status = api_pb2.STATUS_SUCCESS if outcome == "finished" else api_pb2.STATUS_FAILURE
    end = SessionEndInfo(status=status, end_time_secs=seconds)
    return _hparams(hparams_metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))


def layout(tags: Iterable[str] | None = None) -> Summary:
    """Return the charts of Custom Scalars; where `tags` are given, those that have a curve."""
    known = None if tags is None else set(tags)
    bands = [
        layout_pb2.Chart(
            title=title,
            margin=layout_pb2.MarginChartContent(
                series=[
                    # All three are of cells only: TensorBoard warns of a run that has some.
                    layout_pb2.MarginChartContent.Series(
                        value=interval_tag(tag, "mean"),
                        lower=interval_tag(tag, "low"),
                        upper=interval_tag(tag, "high"),
                    )
                ]
            ),
        )
        for title, tag in OF_CELLS.items()
        if known is None or interval_tag(tag, "mean") in known
    ]
    lines = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[pattern]))
        for title, pattern in OF_RUNS.items()
        if known is None or any(re.match(pattern, tag) for tag in known)
    ]
    by_title = {"cells: mean and 95 % interval over seeds": bands, "runs": lines}
    categories = [layout_pb2.Category(title=t, chart=own) for t, own in by_title.items() if own]
    content = layout_pb2.Layout(category=categories)
    return Summary(
        value=[
            Summary.Value(
                tag=layout_metadata.CONFIG_SUMMARY_TAG,
                metadata=layout_metadata.create_summary_metadata(),
                tensor=make_tensor_proto(content.SerializeToString()),
            )
        ]
    )


def interval_tag(tag: str, what: str) -> str:
    """Return the tag, in the run of a cell, of the `mean`, `low` or `high` of a curve."""
    return f"interval/{tag}/{what}"


def scalar(tag: str, value: float) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def text(tag: str, markdown: str) -> Summary:
    return text_summary.text_pb(tag, visible(markdown, keep="\n"))


def image(tag: str, png: bytes) -> Summary:
    # The size stands at a fixed place of every PNG file.
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    shown = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=shown)])


def _value(value: object) -> bool | int | float | str:
    if isinstance(value, bool | int | float):
        return value
    return visible(value) if isinstance(value, str) else json.dumps(value)


def _type(value: object) -> int:
    if isinstance(value, bool):
        return int(api_pb2.DATA_TYPE_BOOL)
    is_number = isinstance(value, int | float)
    return int(api_pb2.DATA_TYPE_FLOAT64 if is_number else api_pb2.DATA_TYPE_STRING)


def _hparams(tag: str, content: HParamsPluginData) -> Summary:
    metadata = hparams_metadata.create_summary_metadata(content)
    value = Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)
    return Summary(value=[value])
