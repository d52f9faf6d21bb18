"""A result, without a training."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from normexp.runs.result import Environment, EpochResult, RunResult, Timing
from normexp.runs.tested import ModeGap, TestResult

ENVIRONMENT = Environment("0.1", "3.12", "2.15", "cpu", "any", 1, "fp32", "none")


def result(accuracy: float = 0.8) -> RunResult:
    """What a run of one epoch of four steps may have found."""
    shares = (0.7, 0.6, 0.5, 0.4, 0.3)
    return RunResult(
        outcome="finished",
        test=TestResult(
            loss=0.5,
            accuracy=accuracy,
            contrast={str(severity): share for severity, share in enumerate(shares, start=1)},
            mode_gap=ModeGap(40, 0.0, None),
        ),
        steps=4,
        images=36,
        parameters=100,
        classes=("cat", "dog"),
        history=(EpochResult(1, 4, 36, 2.0, 0.2, 1.9, 0.25),),
        readings={},
        layers={},
        timing=Timing(1.0, (1.0,), 36.0),
        environment=ENVIRONMENT,
    )


def sealed(plain: dict[str, Any]) -> str:
    """`plain` with the checksum that fits it, as documented: SHA-256 of its sorted JSON."""
    content = {key: value for key, value in plain.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "checksum": digest})
