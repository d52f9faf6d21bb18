"""What of a run's records is shipped: no host and no path, and of long lists a part."""

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from normexp.errors import UserError
from normexp.runs.catalogue import Entry
from normexp.runs.plain import to_plain
from normexp.runs.record import RunRecord
from normexp.runs.reference import Row
from normexp.runs.result import RunResult
from normexp.runs.spec import RunSpec
from normexp.runs.values import LOCATIONS

DATA = "<data>"  # in the place of the folder of the images
CACHE = "~/.cache/normexp"
MOST_EPOCHS = 20  # of a history; longer ones keep so many, evenly spaced, and the last


def row_of(entry: Entry) -> Row:
    """Return a finished run as it is shipped; raises UserError where it has a user's own part."""
    if entry.record.spec.source:
        parts = ", ".join(entry.record.spec.source)
        raise UserError(f"{entry.folder.name} has parts that normexp does not ship: {parts}")
    assert entry.result
    ended = time.gmtime(entry.folder.result_file.stat().st_mtime)
    record, result, lens = trimmed_record(entry.record), trimmed_result(entry.result), None
    if found := entry.folder.lens():
        lens = json.loads(json.dumps(to_plain(found)))
    return Row(record.spec.name, record, result, time.strftime("%F", ended), lens)


def trimmed_record(record: RunRecord) -> RunRecord:
    """Return what was asked, without places; the name of the run stays."""
    plain = _without_places(record.spec.settings)
    assert isinstance(plain, dict)
    spec = RunSpec.from_settings(plain, record.spec.numerics, record.spec.source)
    assert spec.name == record.spec.name
    return replace(record, spec=spec, command=trimmed_command(record.command))


def trimmed_result(result: RunResult) -> RunResult:
    """Return what was found, without the values by channel, and with a thinned history."""
    kept = _kept(len(result.history))
    seconds = result.timing.epoch_seconds
    ends = [0, *(i + 1 for i in kept)]
    summed = (sum(seconds[a:b]) for a, b in pairwise(ends))
    return replace(
        result,
        layers={},
        history=tuple(result.history[i] for i in kept),
        timing=replace(result.timing, epoch_seconds=tuple(summed)),
    )


def _kept(epochs: int) -> Sequence[int]:
    """Return which epochs are kept."""
    most = min(epochs, MOST_EPOCHS)
    return [(i + 1) * epochs // most - 1 for i in range(most)]


def _without_places(value: object) -> object:
    if isinstance(value, dict):
        return {key: _place(key, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_places(each) for each in value]
    return value


def _place(key: str, value: object) -> object:
    if key in LOCATIONS and value is not None:
        return CACHE if key == "cache_dir" else DATA
    return _without_places(value)


def trimmed_command(command: str) -> str:
    """Return a command whose folder of images is `<data>`, and that says nothing of a machine."""
    words = [word for word in shlex.split(command) if not word.startswith("runtime.")]
    return shlex.join(f"data.root={DATA}" if w.startswith("data.root=") else w for w in words)
