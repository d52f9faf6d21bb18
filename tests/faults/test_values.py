"""Numbers at and beyond the ends of their ranges: taken, or refused in a line."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest
from helpers.typed import normexp

from normexp.kinds import Kind, Number, Numbers
from normexp.settings import COMMANDS

from .size import size
from .test_overrides import SMALL

NUMERIC = {
    f"{command} {setting.key}": setting.kind
    for command, table in COMMANDS.items()
    for setting in table
    if isinstance(setting.kind, Number | Numbers)
}
BIG, HUGE = 2**63 - 1, sys.float_info.max
NO_NUMBERS: tuple[object, ...] = ("", "１２", "²", "1", "nan", True, [], {}, b"1", 1j)


def ends(number: Number) -> list[object]:
    """Return what lies at the limits of a number, beside them, and beyond every limit."""
    limits = [x for x in (number.least, number.most, number.above, number.below) if abs(x) < 1e30]
    beside = [math.nextafter(x, to) for x in limits for to in (-math.inf, math.inf)]
    whole = [int(x) + by for x in limits for by in (-1, 0, 1)]
    beyond = (math.nan, math.inf, HUGE, 5e-324, 1e-300, 0.0, BIG, BIG + 1, 2**64, 10**400)
    return [*limits, *beside, *whole, *beyond, *(-x for x in beyond), 0.5, None, *NO_NUMBERS]


def assert_in_range(found: object, number: Number) -> None:
    if found is None:
        assert number.optional
        return
    assert type(found) is (int if number.whole else float)
    assert math.isfinite(found)
    assert number.least <= found <= number.most
    assert number.above < found < number.below
    assert not number.whole or found < 2**63


REFUSED = object()


def checked(kind: Kind, value: object) -> object:
    """Return what a setting of this kind takes for the value, or REFUSED."""
    try:
        return kind.check(value)
    except ValueError as error:
        return REFUSED if "needed" in str(error) else error


@pytest.mark.parametrize("setting", NUMERIC)
def test_a_number_is_taken_within_its_range_and_refused_without(setting: str) -> None:
    kind = NUMERIC[setting]
    number = kind.each if isinstance(kind, Numbers) else kind
    for value in ends(number):
        found = checked(number, value)
        if found is not REFUSED:
            assert_in_range(found, number)
            assert value is None or found == (value if number.whole else float(value))  # type: ignore[arg-type]
        if isinstance(kind, Numbers):
            for values in (value, [value], [value] * 3, [0.5, value]):
                checked(kind, values)


TRAIN = ("train", *SMALL)
TYPED = (
    *(("seed=4294967295",), (f"batch_size={BIG}",), (f"accumulate={BIG}",)),
    *(("label_smoothing=0.9999999999999999",), ("label_smoothing=5e-324",)),
    *(("data.limit=1",), (f"data.limit={BIG}",), ("data.val_fraction=5e-324",)),
    *(("data.val_fraction=0.9999999999999999",), (f"data.crop={BIG}",), ("data.crop=32",)),
    *(("data.red_scale=0",), ("data.red_scale=1e308",), ("data.red_scale=-0.0",)),
    *(("data.gain_spread=0",), ("data.gain_spread=1e308",), (f"data.mean=[{HUGE},0,0]",)),
    *(("data.mean=[0,0,0]", "data.std=[1e4,1e-4,1]"), (f"model.recalibrate={BIG}",)),
    *(("optimizer.lr=5e-324",), (f"optimizer.lr={HUGE}",), (f"optimizer.lr={10**400}",)),
    *(("optimizer.batch_exponent=1e308",), ("optimizer.batch_exponent=1e308", "accumulate=6")),
    *(("optimizer.weight_decay=1e308",), ("optimizer.warmup=0.9999999999999999",)),
    *(("runtime.threads=100000",), (f"runtime.log_every={BIG}",), (f"max_seeds={BIG}",)),
    *(("runtime.checkpoint_seconds=5e-324",), ("runtime.checkpoint_seconds=1e308",)),
    *(("-m", "seed=1,2", f"runtime.jobs={BIG}"), (f"data.source.num_train={BIG - 7}",)),
    *((f"model.network.widths=[{BIG},8,8,8,8,8]",), ("batch_size=128", "optimizer.lr=1e308")),
)
OTHERS = (
    *(("advise", f"batch_size={BIG}"), ("advise", "margin=1e308"), ("advise", "batch_size={")),
    *(("verify", f"rows={10**400}"), ("report", "level=0.9990000000000001")),
    ("probe", "norm=batch", f"batch_size={BIG}"),
)


@pytest.mark.parametrize(
    "arguments", [*((*TRAIN, *each) for each in TYPED[:: size(8, 1)]), *OTHERS[:: size(4, 1)]]
)
def test_what_is_typed_at_the_ends_is_done_or_refused_in_a_line(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    answer = normexp(tmp_path, *arguments)
    assert "Traceback" not in answer.err
    if answer.code:
        said = answer.err.splitlines()
        assert said[-1].startswith("normexp: ")
        assert not re.search(r"\.py:\d+: \w+Error", said[-1]), said[-1]  # a fault, not a mistake
        assert len(said[-1]) < 1500
