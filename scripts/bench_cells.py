"""The time from typing a sweep of thousands to its first training, and of typing it once finished.

The sweep is typed on a terminal, stopped as its first run trains, and typed again when every run
has a result, which is copied. Times are those of the clock and of the processors (user and system,
the sweep's processes among it), as other work may share the cores.

usage: scripts/bench cells [cells=2000]
"""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory

from normexp import build
from normexp.runs.folder import RunFolder

NORMS, BATCH_SIZES = ("batch", "instance", "both", "none"), (2, 4, 8, 16, 32)
TINY = (
    *("data=generated", "data.source.num_train=100", "data.source.num_test=10", "steps=1"),
    *("model.network.widths=[4,4,4,4,4,4]", "precision=fp32", "runtime.jobs=2"),
)
START = (sys.executable, "-P", "-c", "from normexp.cli import main; main()", "train", *TINY)


def main() -> None:
    settings = {"cells": "2000"} | dict(argument.split("=", 1) for argument in sys.argv[1:])
    seeds = int(settings["cells"]) // (len(NORMS) * len(BATCH_SIZES))
    cells = seeds * len(NORMS) * len(BATCH_SIZES)
    axes = (f"norm={','.join(NORMS)}", f"batch_size={','.join(map(str, BATCH_SIZES))}")
    grid = ["-m", *axes, f"seed=range({seeds})"]
    with TemporaryDirectory() as folder:
        where = Path(folder)
        logs = where.glob
        is_training = lambda: any(logs("outputs/runs/*/train.log"))  # noqa: E731
        code, said = typed(where, grid, "to the first training", is_training)
        require(code == 128 + signal.SIGTERM, said)
        require(f"{cells} runs in {len(NORMS) * len(BATCH_SIZES)} cells" in said, said)
        require(cells < 1000 or re.search(r"(composing|checking): +\d+%", said) is not None, said)
        finish(where, seeds)
        code, said = typed(where, grid, "typed again when finished")
        require(code == 0, said)
        require(f"{cells} finished" in said, said)
        require(not any(where.glob("outputs/runs/*/failure.json")), "a run failed")


def typed(
    where: Path, grid: list[str], what: str, is_enough: Callable[[], bool] = lambda: False
) -> tuple[int, str]:
    """Type the sweep on a terminal until it ends or that is enough; print the times of `what`."""
    began, said = time.perf_counter(), b""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(where)
        termios.tcsetwinsize(0, (24, 80))
        os.execv(START[0], [*START, *grid])
    wall = 0.0
    with suppress(OSError):  # it has ended
        while True:
            if select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096)
            if not wall and is_enough():
                wall = time.perf_counter() - began
                os.kill(pid, signal.SIGTERM)
    _, status, used = os.wait4(pid, 0)
    wall = wall or time.perf_counter() - began
    print(f"{what}: {wall:.1f} s, of processors {used.ru_utime + used.ru_stime:.1f} s", flush=True)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def finish(where: Path, seeds: int) -> None:
    """Give every run the result of a first one."""
    outputs = where / "outputs"
    result = None
    for norm, batch_size in product(NORMS, BATCH_SIZES):
        overrides = [*TINY, f"norm={norm}", f"batch_size={batch_size}"]
        spec, _ = build.run_spec(build.composed(overrides))
        if result is None:
            code, said = typed(where, overrides[len(TINY) :], "one run")
            require(code == 0, said)
            result = RunFolder.of(outputs, spec).result()
            require(result is not None, said)
        for seed in range(seeds):
            folder = RunFolder.of(outputs, replace(spec, seed=seed))
            folder.open(replace(spec, seed=seed), "normexp train", None)
            assert result
            folder.finish(result)


def require(is_so: bool, said: str) -> None:
    if not is_so:
        raise SystemExit(said[-3000:])


main()
