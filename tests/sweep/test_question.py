"""Which GPUs a sweep may use: what torch sees in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from normexp import build
from normexp.commands import child
from normexp.sweep import question
from normexp.sweep.pool import Child, Task

Compose = Callable[..., DictConfig]


def test_without_a_driver_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "DRIVERS", ())
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(question, "answer", lambda *_: pytest.fail("a process was started"))
    assert question.gpus(Child) == {}


@pytest.mark.parametrize(
    ("num_cells", "num_missing", "device", "asks"),
    [(2, 1, "auto", True), (2, 0, "auto", False), (1, 1, "auto", False), (2, 2, "cpu", False)],
)
def test_gpus_are_looked_for_where_several_cells_may_share_them(
    num_cells: int,
    num_missing: int,
    device: str,
    asks: bool,
    compose: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Task] = []

    def answer(task: Task, _: type[Child]) -> dict[str, float]:
        asked.append(task)
        return {"0": 80.0}

    monkeypatch.setattr(question, "DRIVERS", (str(tmp_path),))
    monkeypatch.setattr(question, "answer", answer)
    _, runtime = build.run_spec(compose(f"runtime.device={device}"))
    plan = question.plan_here(num_cells, num_missing, runtime, Child)
    assert [task.do for task in asked] == ["gpus"] * asks
    assert ({"CUDA_VISIBLE_DEVICES": "0"} in plan.slots) == asks


@pytest.mark.parametrize(
    ("visible", "number", "expected"),
    [
        (None, 2, {"0": 8.0, "1": 9.0}),
        ("3,GPU-x", 2, {"3": 8.0, "GPU-x": 9.0}),
        ("-1", 0, {}),
        ("NoDevFiles", 0, {}),
        (None, 0, {}),
    ],
)
def test_a_gpu_is_named_as_the_user_named_it(
    visible: str | None,
    number: int,
    expected: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: ([8e9, 9e9][i], 80e9))
    child.gpus()
    assert json.loads(capsys.readouterr().out) == expected
