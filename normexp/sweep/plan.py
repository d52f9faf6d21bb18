"""How many cells at once, with how many threads, on which GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from normexp.runs.runtime import Runtime

# A run with torch takes 0.8 GB before its data and activations; one that uses CUDA takes more.
GIGABYTES_PER_RUN = 1.5
GIGABYTES_PER_GPU_RUN = 4.0
# One small run leaves a GPU idle most of the time; more than a few wait for each other.
RUNS_PER_GPU = 4

# Settings of the device that leave the choice of a GPU to us.
ANY_GPU = ("auto", "cuda")

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """What a sweep may use of this machine."""

    cores: int
    gigabytes: float
    gpus: Mapping[str, float]  # free gigabytes of each GPU, by its name for CUDA_VISIBLE_DEVICES

    @classmethod
    def this(cls, gpus: Mapping[str, float]) -> Machine:
        """Look around for what runs may use beside `gpus`."""
        return cls(_cores(), _gigabytes(), gpus)


@dataclass(frozen=True)
class Plan:
    """How the cells of a sweep share a machine."""

    slots: tuple[Environment, ...]
    """One for each run at a time, with the environment variables that place it."""
    threads: int | None  # what to add to a run's command as `runtime.threads`, or None for nothing
    cache_dir: str | None = None  # a folder of which each machine has one of its own

    @classmethod
    def choose(cls, num_cells: int, runtime: Runtime, machine: Machine) -> Plan:
        """Return the plan for a sweep of `num_cells`, whether finished or not.

        The threads do not depend on what is still to do or on free memory: a sweep that is typed
        again goes on with as many as before, and so to the same bits.
        """
        places = _places(runtime.device, machine)
        cores = machine.cores
        if runtime.jobs is not None:
            threads = _share(cores, runtime.jobs)
            slots = [places[i % len(places)] for i in range(runtime.jobs)]
        elif places == [{}] and runtime.device in ("auto", "cpu"):
            threads = _share(cores, num_cells)
            fitting = min(
                cores // (runtime.threads or threads or cores),
                int(machine.gigabytes / GIGABYTES_PER_RUN),
            )
            slots = places * max(1, fitting)
        else:
            threads = None if num_cells == 1 else 1
            slots = places[: max(1, min(cores, int(machine.gigabytes / GIGABYTES_PER_RUN)))]
        return cls(tuple(slots), None if runtime.threads is not None else threads)


def _share(cores: int, runs: int) -> int | None:
    """Threads of each of `runs` at a time; one alone chooses for itself."""
    return None if runs == 1 else max(1, cores // runs)


def _places(device: str, machine: Machine) -> list[Environment]:
    """Return where runs may go at the same time, GPUs in turn."""
    if device not in ANY_GPU or not machine.gpus:
        return [{}]
    return [
        {"CUDA_VISIBLE_DEVICES": name}
        for turn in range(RUNS_PER_GPU)
        for name, free in machine.gpus.items()
        if turn == 0 or (turn + 1) * GIGABYTES_PER_GPU_RUN <= free
    ]


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _line("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit():  # a container's share, which is less than the cores that it sees
        return max(1, min(allowed or 1, int(quota) // int(period)))
    return allowed or 1


def _gigabytes() -> float:
    total = 1e6  # Windows does not tell
    if hasattr(os, "sysconf"):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        free = dict(line.split(":") for line in meminfo.read_text().splitlines())
        total = int(free["MemAvailable"].split()[0]) * 1024 / 1e9
    limit = _line("/sys/fs/cgroup/memory.max")
    return min(total, int(limit) / 1e9) if limit.isdigit() else total


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
