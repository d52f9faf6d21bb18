"""A question that takes torch to answer, which takes seconds to import: a process of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from normexp.runs.runtime import Runtime
from normexp.sweep.plan import ANY_GPU, Machine, Plan
from normexp.sweep.pool import Child, Pool, Task
from normexp.sweep.scheduler import carry_out

DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, of AMD, of Windows below Linux


def answer(
    task: Task, begin: type[Child], is_stopping: Callable[[], bool] = lambda: False
) -> Any | None:
    """Return what a child's last line of output says, as JSON; None where it failed."""
    found: list[Any] = []

    def note(_: str, code: int, __: str) -> None:
        lines = said.read_text().splitlines()
        if code == 0 and lines:
            found.append(json.loads(lines[-1]))

    with TemporaryDirectory() as folder, Pool([{}], begin, own_errors=False) as pool:
        said = Path(folder) / "answer"
        carry_out([task], pool, lambda task: pool.start("asked", task, said), note, is_stopping)
    return found[0] if found else None


def plan_here(num_cells: int, num_missing: int, runtime: Runtime, begin: type[Child]) -> Plan:
    """Return the plan for a sweep of `num_cells`, finished ones too, on this machine."""
    # A single one finds its GPU itself.
    matters = num_cells > 1 and num_missing > 0 and runtime.device in ANY_GPU
    return Plan.choose(num_cells, runtime, Machine.this(gpus(begin) if matters else {}))


def gpus(begin: type[Child]) -> dict[str, float]:
    """Return the free gigabytes of each GPU that torch can use, by CUDA_VISIBLE_DEVICES' name."""
    if not any(Path(driver).exists() for driver in DRIVERS) and not shutil.which("nvidia-smi"):
        return {}
    return answer(Task("gpus", {}), begin) or {}
