"""How many runs at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from helpers.stand_in import Compose

from normexp import build
from normexp.runs.runtime import Runtime
from normexp.sweep.plan import Machine, Plan

CPU = Machine(cores=8, gigabytes=100.0, gpus={})
GPUS = Machine(cores=16, gigabytes=100.0, gpus={"GPU-a": 78.0, "GPU-b": 9.0})


@pytest.fixture
def runtime(compose: Compose) -> Runtime:
    _, runtime = build.run_spec(compose())
    return runtime


def test_the_cores_are_filled_with_runs_of_one_thread(runtime: Runtime) -> None:
    plan = Plan.choose(24, runtime, CPU)
    assert (len(plan.slots), plan.threads) == (8, 1)


def test_a_few_cells_share_all_cores(runtime: Runtime) -> None:
    plan = Plan.choose(2, runtime, CPU)
    assert (len(plan.slots), plan.threads) == (2, 4)


def test_one_cell_is_left_alone(runtime: Runtime) -> None:
    plan = Plan.choose(1, runtime, CPU)
    assert (len(plan.slots), plan.threads) == (1, None)


def test_little_memory_means_fewer_runs_but_no_other_threads(runtime: Runtime) -> None:
    plan = Plan.choose(24, runtime, replace(CPU, gigabytes=3.2))
    assert (len(plan.slots), plan.threads) == (2, 1)


def test_at_least_one_runs_however_small_the_machine(runtime: Runtime) -> None:
    assert len(Plan.choose(24, runtime, Machine(1, 0.1, {})).slots) == 1


@pytest.mark.parametrize(("jobs", "threads"), [(1, None), (2, 4), (3, 2), (16, 1)])
def test_the_user_may_say_how_many(runtime: Runtime, jobs: int, threads: int | None) -> None:
    plan = Plan.choose(24, replace(runtime, jobs=jobs), CPU)
    assert (len(plan.slots), plan.threads) == (jobs, threads)


def test_the_users_threads_are_kept(runtime: Runtime) -> None:
    plan = Plan.choose(24, replace(runtime, threads=4), CPU)
    assert (len(plan.slots), plan.threads) == (2, None)


def test_gpus_take_turns_and_get_as_many_runs_as_fit(runtime: Runtime) -> None:
    plan = Plan.choose(24, runtime, GPUS)
    placed = [slot["CUDA_VISIBLE_DEVICES"] for slot in plan.slots]
    assert placed == ["GPU-a", "GPU-b", "GPU-a", "GPU-b", "GPU-a", "GPU-a"]


def test_jobs_are_spread_over_the_gpus(runtime: Runtime) -> None:
    plan = Plan.choose(24, replace(runtime, jobs=2), GPUS)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in plan.slots] == ["GPU-a", "GPU-b"]


@pytest.mark.parametrize(("device", "slots"), [("cpu", 16), ("cuda:1", 1)])
def test_a_named_device_is_left_as_it_is(runtime: Runtime, device: str, slots: int) -> None:
    expected: list[dict[str, Any]] = [{}] * slots
    assert list(Plan.choose(24, replace(runtime, device=device), GPUS).slots) == expected


def test_this_machine_has_a_core_and_memory() -> None:
    machine = Machine.this({})
    assert machine.cores >= 1
    assert machine.gigabytes > 0
